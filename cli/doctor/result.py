"""One thing that was looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands: in order, worth knowing, missing without harm to the rest, or in the way of everything."""

    GOOD = "ok"
    NOTE = "note"
    MISSING = "missing"
    BLOCKS = "blocks"


@dataclass(frozen=True)
class CheckResult:
    """What was looked at, how it stands, and what to type where it does not stand well."""

    what: str
    verdict: Verdict
    seen: str
    remedy: str = ""


def good(what: str, seen: str) -> CheckResult:
    """In order."""
    return CheckResult(what, Verdict.GOOD, seen)


def note(what: str, seen: str, remedy: str = "") -> CheckResult:
    """Worth knowing."""
    return CheckResult(what, Verdict.NOTE, seen, remedy)


def missing(what: str, seen: str, remedy: str) -> CheckResult:
    """Something works less well without it."""
    return CheckResult(what, Verdict.MISSING, seen, remedy)


def blocks(what: str, seen: str, remedy: str) -> CheckResult:
    """Nothing starts before it is put right."""
    return CheckResult(what, Verdict.BLOCKS, seen, remedy)
