"""Asking, and asking again until something is so."""

from tests.gateway.conftest import Gateway
from tests.patience import becomes as becomes

CHAT = "/v1/chat/completions"


async def ask(gateway: Gateway, path: str, token: str | None = None) -> int:
    """The status that one chat request gets."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with gateway.http.post(gateway.at(path, CHAT), json={}, headers=headers) as answer:
        return answer.status
