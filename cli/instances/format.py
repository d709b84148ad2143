"""Times, prices and sizes as a person would say them."""

from datetime import datetime

UNITS = ("B", "KB", "MB", "GB", "TB")


def span(seconds: float) -> str:
    """`4 s`, `2 min 5 s`, `3 h 20 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def price(usd_per_hour: float) -> str:
    return f"${usd_per_hour:.3f}/h"


def size(count: int | None) -> str:
    """Of so many bytes, in units of 1000; `-` where it is not known."""
    if count is None:
        return "-"
    value, unit = float(count), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit == 0 else f"{value:.1f} {UNITS[unit]}"


def local(moment: datetime) -> str:
    """Date and time on this computer's clock."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
