"""Schedules that still end badly, each with what is lost. One that ends well fails here: then it moves to its kind."""

import pytest

from tests.protocol.conftest import Stage
from tests.protocol.events import Cancel, Event, Fault, Go, Request, TakeSnapshot, Trouble
from tests.protocol.test_sleeping import PAUSE, UP, WAKE
from tests.protocol.verdict import GOOD

ABSENT = [Trouble(Request.LIST, Fault.EMPTY, 40), Trouble(Request.SHOW, Fault.ABSENT, 40)]
GAPS: dict[str, list[Event]] = {
    "the list and the page deny it for a while": [*UP, TakeSnapshot(0), Go(20), *ABSENT, Go(60)],
    "a Cancel click on a machine's flow": [*UP, Cancel(1), Go(60)],
    "a pause, cancelled": [*UP, PAUSE, Go(2), Cancel(0), Cancel(1), Go(60), WAKE, Go(60)],
}


@pytest.mark.parametrize("name", GAPS)
def test_it_ends_badly(stage: Stage, name: str) -> None:
    assert stage.play(GAPS[name]) != GOOD
