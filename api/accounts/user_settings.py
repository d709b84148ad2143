"""A user's provider key and defaults. Keys go in and never come out."""

import json
from typing import Any, Literal

from fastapi import APIRouter, Query, Security
from pydantic import Field, SecretStr, ValidationError
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.app_state import AppState
from api.deps import App, Me, Session
from api.errors import Invalid
from api.guard import Guarded
from api.openapi import UNAUTHORIZED, bearer, problem
from api.schemas import Answer, Body, is_masked, masked
from db.accounts.tables import ProviderKey, UserSettings
from domain.accounts.phases import KeyStatus

MAX_SETTINGS_BYTES = 64 * 1024

router = APIRouter(
    prefix="/settings", tags=["settings"], route_class=Guarded, dependencies=[Security(bearer)], responses=UNAUTHORIZED
)


class KnownSettings(Body):
    """The settings that have an effect here; others are stored unchanged."""

    idle_pause_minutes: float | None = Field(default=None, gt=0, le=525_600)
    idle_hibernate_minutes: float | None = Field(default=None, gt=0, le=525_600)
    default_max_price: float | None = Field(default=None, gt=0, le=1_000)
    max_gpus: int | None = Field(default=None, ge=1, le=100_000)
    spending_cap_per_day: float | None = Field(default=None, ge=0, le=1_000_000)
    unattended_usd: float | None = Field(default=None, ge=0, le=1_000_000)
    notify: bool | str | list[Any] | dict[str, Any] | None = None


class SettingsBody(Body):
    """What is left out stays, `null` removes, a masked key means unchanged."""

    vast_api_key: SecretStr | None = Field(default=None, max_length=500, examples=["****abcd"])
    gcp_credentials: Any = Field(default=None, description="Not taken yet.")
    settings: dict[str, Any] = Field(default={}, examples=[{"default_max_price": 0.5, "spending_cap_per_day": 20}])


class GcpAnswer(Answer):
    configured: bool = False


class SettingsAnswer(Answer):
    """`key_status` is null without a key of one's own."""

    vast_api_key: str | None
    key_status: KeyStatus | None
    gcp: GcpAnswer = GcpAnswer()
    settings: dict[str, Any]


class SettingsSaved(Answer):
    success: bool = True
    message: str
    key_status: KeyStatus | None


@router.get("", summary="My settings")
async def read_settings(me: Me, session: Session) -> SettingsAnswer:
    row, key = await _mine(session, me.id)
    return SettingsAnswer(
        vast_api_key=masked(key.last4) if key else None,
        key_status=key.status if key else None,
        settings=row.settings if row else {},
    )


@router.put(
    "",
    summary="Change my settings",
    responses={
        400: problem("`?verify=strict` and the provider refuses the key: nothing was saved."),
        409: problem("The key is another account's, and machines are still rented on the present one."),
    },
)
async def change_settings(
    body: SettingsBody,
    me: Me,
    app: App,
    verify: Literal["strict"] | None = Query(default=None, description="`strict`: do not save a refused key."),
) -> SettingsSaved:
    """A new provider key is tried at once. A refused one is stored as `refused`, or rejected with `?verify=strict`."""
    patch = _checked(body)
    if "vast_api_key" in body.model_fields_set:
        await _change_key(app, me.id, body.vast_api_key, strict=verify == "strict")
    async with app.database.begin() as session:
        await _merge(session, me.id, patch)
        _, key = await _mine(session, me.id)
    status = key.status if key else None
    return SettingsSaved(message=_sentence(app.providers.keys.cloud().title, status), key_status=status)


def _sentence(cloud: str, status: KeyStatus | None) -> str:
    match status:
        case None:
            return "Saved."
        case KeyStatus.VALID:
            return f"Saved. {cloud} accepts the key."
        case KeyStatus.REFUSED:
            return f"Saved, but {cloud} refuses the key."
        case KeyStatus.UNCHECKED:
            return f"Saved. {cloud} does not answer now; the key is tried when it is needed."


def _checked(body: SettingsBody) -> dict[str, Any]:
    """The settings to merge, with the known ones of the right kind."""
    if body.gcp_credentials is not None:
        raise Invalid("not_supported_yet", "gcp_credentials", "GCP standbys are not built yet.")
    _check_size(body.settings)
    try:
        known = KnownSettings.model_validate(body.settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise Invalid(first["type"], "settings." + ".".join(map(str, first["loc"])), first["msg"]) from error
    return body.settings | known.model_dump(exclude_unset=True)


async def _change_key(app: AppState, user_id: int, key: SecretStr | None, *, strict: bool) -> None:
    if key is None:
        async with app.database.begin() as session:
            without = update(UserSettings).where(UserSettings.user_id == user_id).values(provider_key_id=None)
            await session.execute(without)
        return
    text = key.get_secret_value().strip()
    if is_masked(text):
        return
    if not (len(text) >= 8 and text.isascii() and text.isprintable() and " " not in text):
        title = app.providers.keys.cloud().title
        raise Invalid("not_a_key", "vast_api_key", f"This does not look like a {title} key.")
    await app.providers.keys.keep(user_id, text, strict=strict)


async def _merge(session: AsyncSession, user_id: int, patch: dict[str, Any]) -> None:
    await session.execute(insert(UserSettings).values(user_id=user_id, settings={}).on_conflict_do_nothing())
    row = await session.get_one(UserSettings, user_id, with_for_update=True)
    merged = {name: value for name, value in (row.settings | patch).items() if value is not None}
    _check_size(merged)
    row.settings = merged


def _check_size(settings: dict[str, Any]) -> None:
    if len(json.dumps(settings)) > MAX_SETTINGS_BYTES:
        raise Invalid("too_large", "settings", f"All settings together may have {MAX_SETTINGS_BYTES // 1024} KB.")


async def _mine(session: AsyncSession, user_id: int) -> tuple[UserSettings | None, ProviderKey | None]:
    found = await session.execute(
        select(UserSettings, ProviderKey)
        .outerjoin(ProviderKey, ProviderKey.id == UserSettings.provider_key_id)
        .where(UserSettings.user_id == user_id)
    )
    row = found.one_or_none()
    return (row[0], row[1]) if row else (None, None)
