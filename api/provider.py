"""The provider key that a caller's requests work with."""

from api.app_state import AppState
from api.errors import Down
from db.accounts.tables import ProviderKey


async def working_key(app: AppState, user_id: int) -> tuple[ProviderKey, int]:
    """The key and its account, known to the cloud.

    Raises:
        NoProviderKey, ProviderKeyRefused
        Down: the cloud has not said yet whose key it is, and does not answer now.
    """
    key = await app.providers.keys.of_user(user_id)
    if key.account_id is None:
        title = app.providers.clouds[key.cloud].title
        raise Down("provider_unavailable", f"{title} does not answer, and the key was never tried before.")
    return key, key.account_id
