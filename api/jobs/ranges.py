"""`Range` of RFC 9110, as far as downloads need it: one range of bytes; what is not understood is ignored."""

import re

_ONE = re.compile(r"^bytes=(\d{0,18})-(\d{0,18})$")


class RangeNotThere(ValueError):
    """It begins behind the end."""


def one_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The bytes `[start, end)`; None: all of them.

    Raises:
        RangeNotThere
    """
    found = _ONE.match((header or "").replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
        if int(last) == 0:
            raise RangeNotThere
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise RangeNotThere
    return start, end
