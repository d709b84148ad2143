"""What only `make test-long` tries.

Every run walks each flow once for real, and meets each kind of the cloud's lies and of our own deaths once. What is
alike is sampled in every run, and whole in the long ones.
"""

from collections.abc import Iterable
from typing import Any

import pytest


def only_long(*values: object) -> list[Any]:
    """Parameters that only the long runs try; their like is tried by every run. A tuple is several parameters."""
    several = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*each, marks=pytest.mark.long) for each in several]


def sampled(values: Iterable[object], every: int) -> list[Any]:
    """All of them in the long runs; in every run the first of each `every`."""
    return [value if at % every == 0 else only_long(value)[0] for at, value in enumerate(values)]
