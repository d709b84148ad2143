"""The label that every machine of ours carries at its cloud: the one proof that it is ours.

`dumont/<installation id>/<lease id>`, compared whole and exactly, so that `job-1` never matches `job-10`, and another
installation on the same account never touches what is ours.
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
