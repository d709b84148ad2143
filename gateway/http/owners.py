"""Whose a credential is: an API key, or a login token that nobody revoked."""

from typing import Any

import jwt
from sqlalchemy import select

from db.accounts.tables import ApiKey, RevokedToken, User
from db.sealing import hash_key
from db.session import Database

API_KEY_PREFIX = "dumont_sk_"
AUDIENCE = "dumont"
_OPTIONS: jwt.types.Options = {"require": ["sub", "jti", "iat", "exp"], "verify_iat": False, "verify_aud": False}
"""`iat` may lie ahead of this host's clock by as much as hosts differ; `aud` is checked when it is there."""


class Owners:
    """Asks the database. `signing_keys`: the first signs, all verify."""

    def __init__(self, database: Database, signing_keys: list[bytes]) -> None:
        self._database = database
        self._keys = signing_keys

    async def of(self, token: str) -> int | None:
        """The user whose credential this is; None when it is nobody's (any more)."""
        if token.startswith(API_KEY_PREFIX):
            return await self._of_api_key(token)
        claims = self._claims(token)
        return None if claims is None else await self._of_claims(claims)

    async def _of_api_key(self, token: str) -> int | None:
        async with self._database.begin() as session:
            return await session.scalar(select(ApiKey.user_id).where(ApiKey.key_hash == hash_key(token)))

    def _claims(self, token: str) -> dict[str, Any] | None:
        for key in self._keys:
            try:
                claims = jwt.decode(token, key, algorithms=["HS256"], options=_OPTIONS)
            except jwt.PyJWTError:
                continue
            fits = claims.get("aud", AUDIENCE) == AUDIENCE and str(claims["sub"]).isdecimal()
            return claims if fits else None
        return None

    async def _of_claims(self, claims: dict[str, Any]) -> int | None:
        user_id = int(claims["sub"])
        async with self._database.begin() as session:
            valid_from = await session.scalar(select(User.tokens_valid_from).where(User.id == user_id))
            revoked = await session.get(RevokedToken, str(claims["jti"]))
        if valid_from is None or revoked is not None or float(claims["iat"]) < valid_from.timestamp():
            return None
        return user_id
