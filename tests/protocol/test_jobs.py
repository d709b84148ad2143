"""Jobs: a machine, the script on it once, its files, no machine any more."""

import pytest
from sqlalchemy import select

from activities.machines.witness import SSH_DEADLINE, WitnessActivities
from db.jobs.tables import Job, JobArtifact
from db.machines.tables import Lease
from domain.jobs.phases import JobStatus
from domain.machines.phases import LeaseOutcome
from tests.long_runs import sampled
from tests.protocol import world
from tests.protocol.conftest import Stage
from tests.protocol.events import (
    Cancel,
    CancelJob,
    CutOff,
    Destroy,
    Event,
    Fault,
    Go,
    Hang,
    HoldBack,
    Kill,
    KillWorkers,
    Lose,
    Request,
    Resume,
    StartJob,
    TakeGpu,
    Terminate,
    Touch,
    Trouble,
)
from tests.protocol.random_schedules import PLACES_OF_JOBS
from tests.protocol.temporal.attempts import rest
from tests.protocol.verdict import GOOD

RUNNING: list[Event] = [StartJob(0, 20), Go(10)]
PARKED: list[Event] = [*RUNNING, HoldBack(12), Go(50)]
JOBS: dict[str, list[Event]] = {
    "it runs to its end": [*RUNNING, Go(40)],
    "its machine is lost, and it is tried again": [StartJob(0, 20, retries=1), Go(15), Lose(0), Go(60)],
    "its machine is lost, and its checkpoint comes back": [
        StartJob(0, 60, retries=1, checkpoints=True),
        Go(50),
        Lose(0),
        Go(120),
    ],
    "its files wait, and are fetched": [*PARKED, Go(90)],
    "its files wait, and never come": [*RUNNING, HoldBack(1000), Go(300)],
    "its files wait on a machine that does not start": [*PARKED, TakeGpu(0), Go(120)],
    "its files wait on a machine that is lost": [*PARKED, Lose(0), Go(120)],
    "its files wait, and it is cancelled": [*PARKED, CancelJob(0), Go(60)],
    "its machine is started in the console while its files wait": [*PARKED, Touch(0, start=True), Go(120)],
    "it is cancelled while it runs": [*RUNNING, CancelJob(0), Go(60)],
    "it is cancelled while its machine boots": [StartJob(0, 20), Go(2), CancelJob(0), Go(60)],
    "its instance is destroyed": [*RUNNING, Destroy(0), Go(60)],
    "nobody gets in": [*RUNNING, CutOff(0), Go(60)],
    "three for two offers": [
        Trouble(Request.RENT, Fault.OFFER_GONE, 4),
        *[StartJob(user, 10) for user in (0, 0, 1)],
        Go(120),
    ],
}


def test_one_odd_look_while_our_own_network_is_away_ends_no_job(stage: Stage) -> None:
    """Nobody looks again before it is old enough to be believed, and over SSH the machine is silent."""
    away = [Trouble(Request.LIST, Fault.ALL_STOPPED, 1), Trouble(Request.LIST, Fault.BAD_GATEWAY, 20)]
    assert stage.play([StartJob(0, 100), Go(42), CutOff(0), *away, Go(40)]) == GOOD
    assert stage.rows(select(Job.status)) == [JobStatus.COMPLETED]


@pytest.mark.parametrize("since", sampled([28, 20, 24], 3))
def test_files_that_come_to_wait_while_its_machine_looks_lost_are_kept(
    stage: Stage, since: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host stops it, and while the silent machine is asked whether it lives, the job has it keep its files."""
    answers = WitnessActivities._answers

    async def slowly(self: WitnessActivities, lease: Lease) -> bool:
        said = await answers(self, lease)
        await rest(0 if said else 2 * SSH_DEADLINE)
        return said

    monkeypatch.setattr(WitnessActivities, "_answers", slowly)
    hurried = {"collect_seconds": 30, "sweep_seconds": 3}
    monkeypatch.setattr(world, "quick", lambda *given, quick=world.quick: quick(*given).model_copy(update=hurried))
    story: list[Event] = [StartJob(0, 20), Go(10), HoldBack(60), Go(since), Touch(0, start=False), Go(250)]
    assert stage.play(story) == GOOD
    (lease,) = stage.rows(select(Lease))
    assert (lease.keeps_files, lease.outcome) == (True, LeaseOutcome.SERVED)


@pytest.mark.parametrize("name", sampled(JOBS, 3))
def test_a_job(stage: Stage, name: str) -> None:
    assert stage.play(JOBS[name]) == GOOD
    assert set(stage.world.shells.starts.values()) <= {1}


@pytest.mark.parametrize("since", sampled([8, 2, 20], 3))
def test_a_cancel_click_on_any_of_its_flows_ends_nothing(stage: Stage, since: int) -> None:
    clicks: list[Event] = [Cancel(flow) for flow in range(4)]
    assert stage.play([StartJob(0, 20), Go(since), *clicks, Go(60)]) == GOOD
    assert stage.rows(select(Job.status)) == [JobStatus.COMPLETED]
    assert set(stage.world.shells.starts.values()) == {1}
    assert len(stage.world.books.machines) == 1


@pytest.mark.parametrize("name", sampled(["its files wait, and are fetched", "it runs to its end"], 2))
def test_its_files_are_collected(stage: Stage, name: str) -> None:
    assert stage.play(JOBS[name]) == GOOD
    assert stage.rows(select(Job.status)) == [JobStatus.COMPLETED]
    assert set(stage.rows(select(JobArtifact.path))) == {"stdout.log", "stderr.log", "output/result"}


@pytest.mark.long
@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("every", [1, 2, 3])
def test_workers_die_and_flows_are_terminated_all_the_time(stage: Stage, name: str, every: int) -> None:
    killed: list[Event] = [each for event in JOBS[name] for each in (event, KillWorkers(), Go(every))]
    assert stage.play(killed) == GOOD
    ended: list[Event] = [each for event in JOBS[name] for each in (event, Go(every), Terminate(every), Go(30))]
    assert stage.play(ended) == GOOD


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES_OF_JOBS)
def test_killed_or_hanging_at_every_place(stage: Stage, place: str) -> None:
    life = [*JOBS["its files wait, and are fetched"], *JOBS["it is cancelled while it runs"]]
    assert stage.play([Kill(place), *life]) == GOOD
    assert stage.play([Hang(place), *life, Resume(0), Go(60)]) == GOOD
