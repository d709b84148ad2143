"""Schedules at random: some instances, and trouble of every kind between them."""

from hypothesis import strategies as st

from tests.failpoints import OF_LEASES
from tests.protocol.events import (
    FAULTS,
    Backup,
    Cling,
    Deploy,
    Destroy,
    Event,
    Go,
    GoOn,
    HandOver,
    Hang,
    Kill,
    Lose,
    Orphan,
    Request,
    Restore,
    Resume,
    Terminate,
    Trouble,
)

POINTS = [point.value for point in OF_LEASES]
REQUESTS = [f"{request}-{moment}" for request in Request for moment in ("arrives", "answers")]
PLACES = [*POINTS, *REQUESTS, "market-answers"]

small = st.integers(0, 3)
troubles = st.sampled_from([(request, fault) for request, faults in FAULTS.items() for fault in faults]).flatmap(
    lambda pair: st.builds(Trouble, st.just(pair[0]), st.just(pair[1]), st.sampled_from([1, 1, 2, 3, 8, 20]))
)
disturbances: st.SearchStrategy[Event] = st.one_of(
    troubles,
    st.builds(Hang, st.sampled_from(PLACES)),
    st.builds(Kill, st.sampled_from(PLACES)),
    st.builds(Resume, small),
    st.builds(Deploy, st.integers(0, 2)),
    st.builds(Destroy, small),
    st.builds(HandOver, small),
    st.builds(Terminate, st.integers(0, 9)),
    st.builds(Lose, small),
    st.builds(Cling, small),
    st.builds(Orphan, st.integers(0, 7)),
    st.just(GoOn()),
    st.just(Backup()),
    st.just(Restore()),
)
waits = st.builds(Go, st.sampled_from([0, 1, 3, 7, 20, 60]))


@st.composite
def schedules(draw: st.DrawFn) -> list[Event]:
    """At least one instance, something that goes wrong from the beginning, and time between the events."""
    events: list[Event] = []
    for event in draw(st.lists(disturbances, min_size=2, max_size=4)):
        events.append(event)
    events.append(Deploy(draw(st.integers(0, 2))))
    for event, wait in draw(st.lists(st.tuples(disturbances, waits), min_size=2, max_size=8)):
        events += [event, wait]
    return events


paces = st.sampled_from([0.0, 0.0, 0.0, 1.0])
"""How strictly our own limiter spaces requests: now and then as for the live service."""
