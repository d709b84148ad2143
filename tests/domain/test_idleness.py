"""When an instance is idle, and what follows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.instances.idleness import LEAST_WAIT, MOST_WAIT, IdleFacts, IdlePolicy, judge, still_idle, warning

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=3)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def policy(**changes: Any) -> IdlePolicy:
    values: dict[str, Any] = {
        "pause_after": WINDOW,
        "report_every": timedelta(seconds=10),
        "repair_after": timedelta(minutes=15),
        "unattended_usd": 5,
    }
    return IdlePolicy(**(values | changes))


def facts(**changes: Any) -> IdleFacts:
    """Running for an hour, heard of 2 s ago, nothing ever done."""
    values: dict[str, Any] = {
        "policy": policy(),
        "running_since": ago(3600),
        "known_until": ago(2),
        "price_usd_per_hour": 0.5,
    }
    return IdleFacts(now=NOW, **(values | changes))


@pytest.mark.parametrize(
    ("known", "pauses"),
    [
        ({}, True),
        ({"running_since": ago(179)}, False),
        ({"running_since": ago(182)}, True),
        ({"traffic_at": ago(179)}, False),
        ({"traffic_at": ago(190)}, True),
        ({"active_at": ago(179)}, False),
        ({"active_at": ago(190)}, True),
        ({"active_at": ago(181), "known_until": ago(2)}, False),  # the last second is not vouched for yet
        ({"active_at": ago(190), "known_until": ago(11)}, False),
        ({"keep_awake_until": ago(-1)}, False),
        ({"keep_awake_until": ago(1)}, True),
        ({"policy": policy(pause_after=None)}, False),
        ({"known_until": None}, False),  # no agent has ever said anything
        ({"known_until": ago(36)}, False),
        ({"known_until": ago(900), "price_usd_per_hour": 0.0}, False),
        ({"known_until": ago(3600), "price_usd_per_hour": 5.1}, True),  # the cap on unattended cost
        ({"known_until": ago(3600), "price_usd_per_hour": 4.9}, False),
        ({"known_until": ago(3600), "price_usd_per_hour": 5.1, "traffic_at": ago(600)}, False),
        ({"known_until": ago(3600), "price_usd_per_hour": 5.1, "active_at": ago(3600)}, True),
        ({"known_until": ago(3600), "price_usd_per_hour": 50, "keep_awake_until": ago(-60)}, False),
        ({"known_until": ago(600), "price_usd_per_hour": 500}, False),  # not before a repair was tried
        (
            {"known_until": ago(3600), "price_usd_per_hour": 50, "others": 2, "others_heard_at": ago(3000)},
            False,
        ),  # we are deaf
        ({"known_until": ago(3600), "price_usd_per_hour": 50, "others": 2, "others_heard_at": ago(3)}, True),
        ({"known_until": ago(3600), "price_usd_per_hour": 50, "others": 1, "others_heard_at": ago(3000)}, True),
    ],
)
def test_whether_to_pause(known: dict[str, Any], pauses: bool) -> None:
    assert judge(facts(**known)).pause is pauses


@pytest.mark.parametrize(
    ("known", "shown", "wait", "warns"),
    [
        ({"active_at": ago(5)}, False, 115, False),
        ({"active_at": ago(60)}, True, 60, False),
        ({"active_at": ago(121)}, True, 59, True),
        ({"active_at": ago(179.9)}, True, 1, True),
        ({"active_at": ago(181)}, True, 8.5, True),
        ({"active_at": ago(4), "policy": policy(pause_after=timedelta(seconds=3))}, False, 8.5, False),
        ({"active_at": ago(600), "keep_awake_until": ago(-30)}, True, 30, True),
        ({"active_at": ago(600), "keep_awake_until": ago(-86_400)}, True, 600, False),
        ({"known_until": ago(300)}, False, 600, False),
        ({"known_until": ago(1000)}, False, 600, False),
    ],
)
def test_what_is_shown_when_to_look_again_and_the_warning(
    known: dict[str, Any], shown: bool, wait: float, warns: bool
) -> None:
    decision = judge(facts(**known))
    assert (decision.idle_since is not None, decision.will_pause_at is not None) == (shown, shown)
    assert decision.look_again == pytest.approx(wait)
    assert decision.warn is warns


@pytest.mark.parametrize(
    ("known", "repairs", "silent"),
    [
        ({}, False, False),
        ({"known_until": ago(40)}, False, True),
        ({"known_until": ago(899)}, False, True),
        ({"known_until": ago(900)}, True, True),
        ({"known_until": None, "running_since": ago(899)}, False, True),
        ({"known_until": None, "running_since": ago(901)}, True, True),
        ({"known_until": ago(5000), "running_since": ago(10)}, False, False),  # it slept: nothing to know before
        ({"known_until": ago(901), "others": 2, "others_heard_at": None}, False, True),
        ({"known_until": ago(901), "policy": policy(pause_after=None)}, False, False),
    ],
)
def test_a_silent_agent_is_repaired(known: dict[str, Any], repairs: bool, silent: bool) -> None:
    decision = judge(facts(**known))
    assert (decision.repair, decision.silent) == (repairs, silent)


@pytest.mark.parametrize(
    ("silent", "repairs", "alarms", "wait"),
    [(60, False, False, 120), (180, True, False, 180), (899, True, False, 180), (900, True, True, 180)],
)
def test_where_reports_are_fetched_that_happens_once_a_window(
    silent: float, repairs: bool, alarms: bool, wait: float
) -> None:
    decision = judge(facts(known_until=ago(silent), policy=policy(fetched=True)))
    assert (decision.repair, decision.alarm, decision.look_again) == (repairs, alarms, wait)


def test_the_words() -> None:
    assert judge(facts()).why == "Idle for 60 minutes: no traffic, no busy process, GPU below 5 %."
    busy = judge(facts(active_at=ago(1), why_active="python train.py used 98 % of a core"))
    assert busy.why == "In use: python train.py used 98 % of a core."
    assert judge(facts(active_at=ago(100))).why.endswith("it pauses at 12:01:20 UTC.")
    assert judge(facts(known_until=ago(1000))).why.startswith("No word from its agent for 17 minutes: the agent is rep")
    assert judge(facts(known_until=ago(3600), price_usd_per_hour=6)).why.endswith("6.00 USD were spent unattended.")
    assert "12:00:00 UTC" in warning(NOW)


def test_a_verdict_holds_until_something_is_used() -> None:
    assert still_idle(ago(60), None, ago(60), ago(90))
    assert not still_idle(ago(60), ago(90), ago(59))
    assert not still_idle(None, ago(90))


moments = st.floats(min_value=-7200, max_value=200_000).map(ago)
past = st.floats(min_value=0, max_value=200_000).map(ago)
spans = st.floats(min_value=0.1, max_value=100_000).map(lambda seconds: timedelta(seconds=seconds))


@st.composite
def situations(draw: st.DrawFn) -> IdleFacts:
    return IdleFacts(
        now=NOW,
        policy=IdlePolicy(
            pause_after=draw(st.none() | spans),
            report_every=draw(st.floats(min_value=0.1, max_value=60).map(lambda seconds: timedelta(seconds=seconds))),
            repair_after=draw(spans),
            unattended_usd=draw(st.floats(min_value=0, max_value=100)),
            fetched=draw(st.booleans()),
        ),
        running_since=draw(past),
        price_usd_per_hour=draw(st.floats(min_value=0, max_value=100)),
        keep_awake_until=draw(st.none() | moments),
        traffic_at=draw(st.none() | past),
        known_until=draw(st.none() | past),
        active_at=draw(st.none() | past),
        others=draw(st.integers(min_value=0, max_value=5)),
        others_heard_at=draw(st.none() | past),
    )


@given(situations())
def test_nothing_in_use_is_ever_paused(known: IdleFacts) -> None:
    decision = judge(known)
    if not decision.pause:
        return
    window = known.policy.pause_after
    assert window is not None
    assert known.keep_awake_until is None or known.keep_awake_until <= NOW
    if not decision.silent:
        for sign in (known.traffic_at, known.active_at, known.running_since):
            assert sign is None or NOW - sign >= window
    else:
        assert known.traffic_at is None or NOW - known.traffic_at > timedelta(0)


@given(situations())
def test_there_is_always_a_next_look_and_never_a_tight_loop(known: IdleFacts) -> None:
    decision = judge(known)
    assert (decision.look_again is None) is (decision.pause or known.policy.pause_after is None)
    if decision.look_again is not None:
        assert LEAST_WAIT <= decision.look_again <= MOST_WAIT


@given(situations())
def test_a_warning_comes_with_its_time_and_before_it(known: IdleFacts) -> None:
    decision = judge(known)
    assert (decision.idle_since is None) or decision.pause or decision.will_pause_at is not None
    if decision.warn:
        assert not decision.pause
        assert decision.will_pause_at is not None


@given(situations(), st.floats(min_value=0, max_value=9.9))
def test_traffic_just_now_puts_every_pause_off(known: IdleFacts, seconds: float) -> None:
    longer = known.policy.model_copy(update={"pause_after": timedelta(seconds=10), "unattended_usd": 1000.0})
    used = known.model_copy(update={"traffic_at": ago(seconds), "policy": longer})
    assert not judge(used).pause
