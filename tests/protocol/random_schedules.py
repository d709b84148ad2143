"""Schedules at random: some users who change their minds, and trouble of every kind between that."""

from hypothesis import strategies as st

from domain.instances.actions import InstanceAction
from failpoints import Failpoint
from tests.failpoints import OF_LEASES
from tests.protocol.events import (
    FAULTS,
    Ask,
    Backup,
    Cancel,
    CancelJob,
    Cling,
    Create,
    CutOff,
    DeleteSnapshot,
    Deploy,
    Destroy,
    Event,
    Fault,
    Go,
    GoOn,
    HandOver,
    Hang,
    HoldBack,
    Kill,
    KillWorkers,
    Lose,
    LoseVault,
    Orphan,
    Persist,
    PutBack,
    Request,
    Restore,
    Resume,
    StartJob,
    TakeGpu,
    TakeSnapshot,
    Terminate,
    Touch,
    Trouble,
)

OF_THE_API = (Failpoint.DEPLOY_COMMITTED, Failpoint.INSTANCE_COMMITTED, Failpoint.JOB_COMMITTED)
"""Between a commit and the first word of it to a flow: there the reconciler is all that follows."""


def _points(*begins: str) -> list[str]:
    return [point.value for point in Failpoint if point.value.startswith(begins) and point not in OF_THE_API]


def _requests(*requests: Request) -> list[str]:
    return [f"{request}-{moment}" for request in requests for moment in ("arrives", "answers")]


OF_MACHINES = _requests(Request.RENT, Request.LIST, Request.SHOW, Request.DESTROY, Request.STOP, Request.SEARCH)
PLACES_OF_LEASES = [*(each.value for each in OF_LEASES if each not in OF_THE_API), *OF_MACHINES]
PLACES_OF_SLEEPERS = [
    *_points("stop-", "start-", "power-", "data-machine", "snapshot-", "restored"),
    *_requests(Request.STOP, Request.START),
]
PLACES_OF_JOBS = _points("job-", "parked", "unparked", "checkpoint-")
PLACES_OF_MODELS = _points("probe-", "server-", "model-", "published")
PLACES = [*dict.fromkeys([*PLACES_OF_LEASES, *PLACES_OF_SLEEPERS, *PLACES_OF_JOBS, *PLACES_OF_MODELS])]

small = st.integers(0, 3)
users = st.integers(0, 2)
actions = st.sampled_from([*InstanceAction])
troubles = st.sampled_from([(request, fault) for request, faults in FAULTS.items() for fault in faults]).flatmap(
    lambda pair: st.builds(Trouble, st.just(pair[0]), st.just(pair[1]), st.sampled_from([1, 1, 2, 3, 8, 20]))
)
jobs = st.builds(StartJob, users, st.sampled_from([3, 15, 40]), st.integers(0, 1), st.booleans())
orders: st.SearchStrategy[Event] = st.one_of(
    st.builds(Deploy, users), st.builds(Create, users), jobs, st.builds(Create, users)
)
wishes: st.SearchStrategy[Event] = st.one_of(
    st.builds(Ask, small, actions),
    st.builds(Ask, small, actions, st.booleans()),
    st.builds(Destroy, small),
    st.builds(TakeSnapshot, small, st.booleans()),
    st.builds(DeleteSnapshot, small, st.sampled_from([-1, -1, 0, 1])),
    st.builds(PutBack, small, small, st.booleans()),
    st.builds(Persist, small, st.just("/data")),
    st.builds(CancelJob, small),
    st.builds(HandOver, small),
)
disturbances: st.SearchStrategy[Event] = st.one_of(
    troubles,
    st.builds(Hang, st.sampled_from(PLACES)),
    st.builds(Kill, st.sampled_from(PLACES)),
    st.builds(Resume, small),
    st.builds(Terminate, st.integers(0, 9)),
    st.builds(Cancel, st.integers(0, 9)),
    st.just(KillWorkers()),
    st.builds(Lose, small),
    st.builds(Touch, small, st.booleans()),
    st.builds(TakeGpu, small, st.booleans()),
    st.builds(CutOff, small),
    st.just(LoseVault()),
    st.builds(HoldBack, st.sampled_from([1, 12, 1000])),
    st.builds(Cling, small, st.sampled_from([Fault.REFUSED, Fault.BAD_GATEWAY])),
    st.builds(Orphan, st.integers(0, 7)),
    st.just(GoOn()),
    st.just(Backup()),
    st.just(Restore()),
)
waits = st.builds(Go, st.sampled_from([0, 1, 3, 7, 20, 60]))
something = st.one_of(orders, wishes, wishes, disturbances, disturbances)


@st.composite
def schedules(draw: st.DrawFn) -> list[Event]:
    """Something that goes wrong from the beginning, at least one order, and time between the events."""
    events: list[Event] = [*draw(st.lists(disturbances, min_size=0, max_size=3)), draw(orders)]
    for event, wait in draw(st.lists(st.tuples(something, waits), min_size=3, max_size=10)):
        events += [event, wait]
    return events


paces = st.sampled_from([0.0, 0.0, 0.0, 1.0])
"""How strictly our own limiter spaces requests: now and then as for the live service."""
