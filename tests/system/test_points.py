"""kill -9 at every named point of our own code: the deploy ends as it should, and the books agree."""

import os

import pytest

from failpoints import Failpoint
from tests.failpoints import OF_DEPLOYS
from tests.system.figures import Figures
from tests.system.kills import killed_at
from tests.system.running import Running

TIMES = int(os.environ.get("DRILL_TIMES", "11"))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("point", OF_DEPLOYS)
async def test_kill_9_at_every_point_many_times(patient_system: Running, figures: Figures, point: Failpoint) -> None:
    await drill(patient_system, figures, point, TIMES)


async def drill(system: Running, figures: Figures, point: Failpoint, times: int) -> None:
    found = Figures()
    for _ in range(times):
        found.count(await killed_at(system, point))
    figures.count(found)
    assert found.is_good, str(found)
