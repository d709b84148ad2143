"""The kinds of clouds that there are. Everything else finds a cloud through this table, by the name in a row."""

from collections.abc import Mapping

import httpx

from clients.vast import VastClient
from clouds import vast
from clouds.provider import Cloud, Provider
from settings import Settings


def clouds_of(settings: Settings, http: httpx.AsyncClient) -> Mapping[str, Cloud]:
    """By name."""
    return {cloud.name: cloud for cloud in (_vast(settings, http),)}


def _vast(settings: Settings, http: httpx.AsyncClient) -> Cloud:
    def opened(url: str, key: str) -> Provider:
        return vast.VastProvider(VastClient(url, key, http))

    return Cloud(
        name=vast.NAME,
        title=vast.TITLE,
        url=settings.vast_url,
        open=opened,
        key_field="vast_api_key",
        capabilities=vast.CAPABILITIES,
        quotas=vast.QUOTAS,
        in_machine=vast.IN_MACHINE,
        installation_key=settings.vast_api_key,
    )
