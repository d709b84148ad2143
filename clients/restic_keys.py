"""restic's keys and the file that keeps a repository's, so that its password costs each run of restic milliseconds.

restic makes a key slow to derive from its password on purpose, half a second: people choose passwords that can be
guessed. Ours are 256 random bits, which nobody guesses at any speed, and restic has no option for that. Any restic
derives a key by the parameters that its file names, so we write the file.

https://restic.readthedocs.io/en/stable/100_references.html#keys-encryption-and-mac, and restic's
`internal/repository/key.go` and `internal/crypto/crypto.go`.
"""

import base64
import hashlib
import json
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.poly1305 import Poly1305

QUICK = {"N": 1024, "r": 8, "p": 1}
"""Of scrypt; about 3 ms. restic's own for a new key: N 32,768, r 8, p 10 on the computer where this was written."""

BLOCK, SALT = 16, 64


@dataclass(frozen=True)
class Key:
    """The three parts of restic's keys: 32 bytes for AES-256-CTR, 16 each for Poly1305-AES."""

    encrypt: bytes
    k: bytes
    r: bytes

    @classmethod
    def of(cls, material: bytes) -> "Key":
        return cls(material[:32], material[32:48], material[48:64])

    @classmethod
    def master(cls, password: str) -> "Key":
        """A new repository's own key. It follows from its password, so that all who make it make the same one."""
        return cls.of(drawn(password, "master key", 64))

    @classmethod
    def derived(cls, password: str, salt: bytes) -> "Key":
        n, r, p = QUICK["N"], QUICK["r"], QUICK["p"]
        return cls.of(hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, dklen=64))

    def seal(self, text: bytes, password: str) -> bytes:
        """As restic stores everything: nonce, ciphertext, MAC of the ciphertext.

        The nonce follows from the text, so that the same text is sealed to the same, and no other text has its nonce.
        """
        nonce = drawn(password, f"nonce of {hashlib.sha256(text).hexdigest()}", BLOCK)
        running = Cipher(algorithms.AES(self.encrypt), modes.CTR(nonce)).encryptor()
        sealed = running.update(text) + running.finalize()
        return nonce + sealed + self._mac(nonce, sealed)

    def _mac(self, nonce: bytes, data: bytes) -> bytes:
        """Poly1305-AES: the one-time pad is the nonce under AES-128, one block of it."""
        block = Cipher(algorithms.AES128(self.k), modes.ECB()).encryptor()  # noqa: S305 - one block, as the MAC demands
        return Poly1305.generate_tag(self.r + block.update(nonce) + block.finalize(), data)


def drawn(password: str, what: str, length: int) -> bytes:
    """Bytes that nobody can guess who does not know the password, of 256 random bits; the same for the same `what`."""
    return HKDF(SHA256(), length, salt=None, info=f"dumont restic {what}".encode()).derive(password.encode())


def key_file(password: str) -> bytes:
    """The master key under the password. Its name in the repository is the sha256 of it.

    It does not say when it was made, as restic's do: written again it is the same file.
    """
    master, salt = Key.master(password), drawn(password, "salt", SALT)
    parts = {"mac": {"k": _text(master.k), "r": _text(master.r)}, "encrypt": _text(master.encrypt)}
    sealed = Key.derived(password, salt).seal(json.dumps(parts).encode(), password)
    whose = {"username": "dumont", "hostname": "vault"}
    return json.dumps({**whose, "kdf": "scrypt", **QUICK, "salt": _text(salt), "data": _text(sealed)}).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
