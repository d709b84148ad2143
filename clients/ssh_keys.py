"""Public keys as people paste them."""

from dataclasses import dataclass

import asyncssh

from domain.refusals import Refusal

MAX_LINE = 16_384
"""An RSA key of 16,384 bits takes 2,800 characters."""

_KINDS = ("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-")


class NotAPublicKey(Refusal):
    code = "not_a_public_key"


@dataclass(frozen=True)
class PublicKey:
    """`line` without options; `fingerprint` as `ssh-keygen -l` shows it, `SHA256:…`."""

    line: str
    fingerprint: str
    comment: str


def read_public_key(text: str) -> PublicKey:
    """One line of an `id_….pub` or an `authorized_keys` file.

    Raises:
        NotAPublicKey: with a sentence that a person can act on. What was given is never repeated in it.
    """
    line = text.strip()
    if "PRIVATE KEY" in line:
        raise NotAPublicKey(
            "This is a private key. Never give it to anybody: make a new pair (ssh-keygen -t ed25519), and send the "
            "file that ends in .pub."
        )
    if len(line) > MAX_LINE or "\n" in line or "\r" in line:
        raise NotAPublicKey("Send one key at a time: the one line of a file such as ~/.ssh/id_ed25519.pub.")
    if not line.startswith(_KINDS):
        raise NotAPublicKey(
            "A public key is one line that begins with its kind, such as `ssh-ed25519 AAAA… name`. Options of "
            "authorized_keys (command=, from=) are not taken."
        )
    if "-cert-v01@" in line.split(maxsplit=1)[0]:
        raise NotAPublicKey("This is a certificate. Send the public key itself.")
    return _imported(line)


def _imported(line: str) -> PublicKey:
    try:
        key = asyncssh.import_public_key(line)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise NotAPublicKey("The key's text is damaged. Copy the whole line of the .pub file again.") from error
    comment = (key.get_comment() or "")[:200]
    plain = key.export_public_key().decode().split(maxsplit=2)[:2]
    return PublicKey(" ".join([*plain, comment]).strip(), key.get_fingerprint(), comment)
