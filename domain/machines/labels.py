"""The label that every machine of ours carries at its cloud: the one proof that it is ours.

Two ids, compared whole and exactly, so that `job-1` never matches `job-10`, and another installation on the same
account never touches what is ours. In our own rows it is `dumont/<installation id>/<lease id>`; how it is written at a
cloud is for that cloud's provider to say.
"""

from typing import NamedTuple

MARK = "dumont"


class Label(NamedTuple):
    installation_id: str
    lease_id: str

    def __str__(self) -> str:
        return f"{MARK}/{self.installation_id}/{self.lease_id}"


def parse_label(text: str | None) -> Label | None:
    """The label in `text`, or None when it is not one of Dumont's (ours or another installation's)."""
    parts = (text or "").split("/")
    if len(parts) != 3 or parts[0] != MARK or not all(parts):
        return None
    return Label(parts[1], parts[2])


def label_of(text: str) -> Label:
    """The label in a row of ours. Raises: ValueError."""
    label = parse_label(text)
    if label is None:
        raise ValueError("a row with a label that is none of ours")
    return label
