"""The finite sets of accounts: what a cloud says of a key."""

from enum import StrEnum


class KeyStatus(StrEnum):
    VALID = "valid"
    REFUSED = "refused"
    UNCHECKED = "unchecked"
