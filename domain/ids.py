"""How the things we make are named. Instances are integers made by the database; all else carries a prefix."""

import re
import secrets
from random import Random
from typing import Annotated, Literal

from pydantic import BeforeValidator

Prefix = Literal["job", "dep", "ep", "fo", "snap", "key", "lease"]

CloudId = Annotated[str, BeforeValidator(lambda given: str(given) if type(given) is int else given)]
"""An id at a cloud, as text: a name, or the digits of a number. Numbers are taken as their digits."""

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID = re.compile(r"^(job|dep|ep|fo|snap|key|lease)_[a-z0-9]{16}$")


def new_id(prefix: Prefix) -> str:
    """A fresh id such as `dep_k3v9…`: 16 random characters, 82 bits, safe in URLs, labels and file names."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(16))


def id_from(prefix: Prefix, random: Random) -> str:
    """The same, from a given source of chance: a workflow's, which is the same at every replay."""
    return f"{prefix}_" + "".join(random.choice(_ALPHABET) for _ in range(16))


def is_id(prefix: Prefix, text: str) -> bool:
    """Whether `text` has the form of an id with this prefix (not whether the thing exists)."""
    return _ID.match(text) is not None and text.startswith(f"{prefix}_")
