"""Secrets at rest: AES-256-GCM under keys derived from the installation's secrets, with rotation.

The first secret seals, every secret opens, and a sealed text names its key. To rotate, put a new secret in front
and drop the old one later (dstack does the same).
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def hash_key(key: str) -> str:
    """How an API key is stored. Our keys are random and long, so a plain digest is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


class CannotOpen(Exception):
    """A sealed value was made under a secret that is no longer among DUMONT_SECRET_KEYS, or was altered."""


class Sealer:
    """Seals and opens short texts. A text opens only for the `purpose` that it was sealed for."""

    def __init__(self, secrets: str) -> None:
        parts = [part.strip() for part in secrets.split(",") if part.strip()]
        if not parts or min(len(part) for part in parts) < 32:
            raise ValueError("DUMONT_SECRET_KEYS needs at least one secret of 32 characters or more")
        self._keys = {self._name(part): self._derive(part, b"seal") for part in parts}
        self._first = self._name(parts[0])
        self.signing_keys = [self._derive(part, b"sign") for part in parts]
        """For tokens: the first signs, all verify."""

    @staticmethod
    def _name(secret: str) -> str:
        return hashlib.sha256(b"name:" + secret.encode()).hexdigest()[:8]

    @staticmethod
    def _derive(secret: str, use: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=b"dumont/" + use).derive(secret.encode())

    def seal(self, text: str, purpose: str) -> str:
        nonce = os.urandom(12)
        sealed = AESGCM(self._keys[self._first]).encrypt(nonce, text.encode(), purpose.encode())
        return f"{self._first}:{base64.b64encode(nonce + sealed).decode()}"

    def seal_env(self, env: Mapping[str, str], purpose: str) -> str | None:
        """Environment variables, sealed together because users put tokens there; None without any."""
        return self.seal(json.dumps(dict(env)), purpose) if env else None

    def open_env(self, sealed: str | None, purpose: str) -> dict[str, str]:
        return {} if sealed is None else dict(json.loads(self.open(sealed, purpose)))

    def open(self, token: str, purpose: str) -> str:
        name, _, body = token.partition(":")
        key = self._keys.get(name)
        if key is None:
            raise CannotOpen(f"sealed under secret {name}, which is not configured any more")
        raw = base64.b64decode(body)
        try:
            return AESGCM(key).decrypt(raw[:12], raw[12:], purpose.encode()).decode()
        except InvalidTag as error:
            raise CannotOpen("the sealed value was altered or sealed for another purpose") from error
