"""Schedules that still end badly, each with what is lost. One that ends well fails here: then it moves to its kind."""

import pytest

from tests.protocol.conftest import Stage
from tests.protocol.events import Cancel, Event, Go
from tests.protocol.test_sleeping import PAUSE, UP, WAKE
from tests.protocol.verdict import GOOD

GAPS: dict[str, list[Event]] = {
    "a Cancel click on a machine's flow": [*UP, Cancel(1), Go(60)],
    "a pause, cancelled": [*UP, PAUSE, Go(2), Cancel(0), Cancel(1), Go(60), WAKE, Go(60)],
}


@pytest.mark.parametrize("name", GAPS)
def test_it_ends_badly(stage: Stage, name: str) -> None:
    assert stage.play(GAPS[name]) != GOOD
