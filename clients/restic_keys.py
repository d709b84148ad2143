"""restic's key files, so that the password costs each run of restic milliseconds instead of half a second.

restic makes a key slow to derive from its password on purpose: people choose passwords that can be guessed. Ours are
256 random bits, which nobody guesses at any speed, and restic has no option for that. So the key file of a new
repository is written again: the same master key under the same password, by the same scrypt with smaller parameters.

https://restic.readthedocs.io/en/stable/100_references.html#keys-encryption-and-mac
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

QUICK = {"N": 1024, "r": 8, "p": 1}
"""About 3 ms. restic's own for a new key: N 32,768, r 8, p 10 on the computer where this was written."""

BLOCK = 16


class WrongKey(Exception):
    """Not a key file of this password's, or not one at all."""


@dataclass(frozen=True)
class Key:
    """The three parts of restic's keys: 32 bytes for AES-256-CTR, 16 each for Poly1305-AES."""

    encrypt: bytes
    k: bytes
    r: bytes

    @classmethod
    def derived(cls, password: str, salt: bytes, said: dict[str, Any]) -> "Key":
        n, r, p = int(said["N"]), int(said["r"]), int(said["p"])
        room = 2 * 128 * r * (n + p)
        made = hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=room, dklen=64)
        return cls(made[:32], made[32:48], made[48:])

    def seal(self, text: bytes) -> bytes:
        nonce = secrets.token_bytes(BLOCK)
        sealed = self._crypt(nonce, text)
        return nonce + sealed + self._mac(nonce, sealed)

    def open(self, data: bytes) -> bytes:
        nonce, sealed, mac = data[:BLOCK], data[BLOCK:-BLOCK], data[-BLOCK:]
        if not hmac.compare_digest(mac, self._mac(nonce, sealed)):
            raise WrongKey("the password does not open this key")
        return self._crypt(nonce, sealed)

    def _crypt(self, nonce: bytes, data: bytes) -> bytes:
        running = Cipher(algorithms.AES(self.encrypt), modes.CTR(nonce)).encryptor()
        return running.update(data) + running.finalize()

    def _mac(self, nonce: bytes, data: bytes) -> bytes:
        """Poly1305-AES: the one-time pad is the nonce under AES-128, one block of it."""
        block = Cipher(algorithms.AES128(self.k), modes.ECB()).encryptor()  # noqa: S305 - one block, as the MAC demands
        return Poly1305.generate_tag(self.r + block.update(nonce) + block.finalize(), data)


def quickened(key_file: bytes, password: str) -> bytes:
    """The key file written again with `QUICK`. Its name is the sha256 of it. Takes as long as the old one took restic.

    Raises:
        WrongKey
    """
    try:
        said = json.loads(key_file)
        salt, data = (base64.b64decode(said[name]) for name in ("salt", "data"))
        master = Key.derived(password, salt, said).open(data)
    except (ValueError, KeyError, TypeError) as error:
        raise WrongKey("not a key file of restic's") from error
    salt = secrets.token_bytes(64)
    sealed = Key.derived(password, salt, QUICK).seal(master)
    written = {"salt": base64.b64encode(salt).decode(), "data": base64.b64encode(sealed).decode()}
    return json.dumps({**said, **QUICK, **written}).encode()
