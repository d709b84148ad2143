"""Login tokens: JWTs signed with the installation's first secret, verified with any of them."""

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import jwt

from api.errors import Unauthorized

LIFETIME_SECONDS = 24 * 3600
_ALGORITHM = "HS256"


@dataclass(frozen=True)
class Claims:
    user_id: int
    jti: str
    issued: datetime
    expires: datetime


class Tokens:
    """Makes and reads tokens. Whether one was revoked is for the database to say."""

    def __init__(self, signing_keys: list[bytes]) -> None:
        self._keys = signing_keys

    def issue(self, user_id: int, not_before: datetime) -> str:
        """A token for the user, never older than `not_before`: hosts' clocks differ, and a new token must be valid."""
        issued = max(time.time(), not_before.timestamp())
        claims = {"sub": str(user_id), "jti": secrets.token_urlsafe(16), "iat": issued}
        return jwt.encode(claims | {"exp": int(issued) + LIFETIME_SECONDS}, self._keys[0], algorithm=_ALGORITHM)

    def read(self, token: str) -> Claims:
        """The claims of a token of ours.

        Raises:
            Unauthorized: forged, expired, or not a token at all.
        """
        for key in self._keys:
            try:
                found = jwt.decode(token, key, algorithms=[_ALGORITHM], options=_OPTIONS)
                return Claims(int(found["sub"]), str(found["jti"]), _time(found["iat"]), _time(found["exp"]))
            except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
                continue
        raise Unauthorized("This token is not valid (any more). Log in again.")


_OPTIONS: jwt.types.Options = {"require": ["sub", "jti", "iat", "exp"], "verify_iat": False}
"""`iat` may lie ahead of this host's clock by as much as hosts differ."""


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
