"""0 leaks, 0 double rents, 0 wrong kills, whatever goes wrong and in whatever order.

A failing schedule is shrunk and printed as the Python that plays it: keep it in `test_schedules.py`. The seed is the
test's parameter, so the same test fails again in the same way.
"""

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.protocol.conftest import Stage
from tests.protocol.events import Event
from tests.protocol.random_schedules import paces, schedules
from tests.protocol.verdict import GOOD

SAMPLE = 3
MANY = 60
SEEDS = 10


def played_at_random(stage: Stage, number: int, count: int) -> None:
    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(schedule=schedules(), cloud_pace=paces)
    def random_schedule(schedule: list[Event], cloud_pace: float) -> None:
        assert stage.play(schedule, cloud_pace=cloud_pace) == GOOD

    random_schedule()


@pytest.mark.timeout(1200)
def test_a_sample_of_random_schedules(stage: Stage) -> None:
    played_at_random(stage, 0, SAMPLE)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(1, SEEDS + 1))
def test_many_random_schedules(stage: Stage, number: int) -> None:
    played_at_random(stage, number, MANY)
