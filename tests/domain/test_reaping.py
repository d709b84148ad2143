"""Whom the reaper may touch."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.machines.reaping import (
    Action,
    KnownLease,
    Listed,
    Policy,
    Sentence,
    Sighting,
    Suspect,
    Verdict,
    brake,
    braked,
    sentences,
    suspects,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OURS = "dumont/home/lease_1"
OPEN = KnownLease(is_open=True, cloud_id=7)
CLOSED = KnownLease(is_open=False, cloud_id=7)


@pytest.mark.parametrize(
    ("label", "cloud_id", "lease", "verdict"),
    [
        (OURS, 7, OPEN, None),
        (OURS, 7, KnownLease(is_open=True, cloud_id=None), None),
        (OURS, 8, OPEN, Verdict.RELEASE),
        (OURS, 7, CLOSED, Verdict.RELEASE),
        (OURS, 7, None, Verdict.UNKNOWN),
    ],
)
def test_what_no_open_lease_accounts_for_is_a_suspect(
    label: str, cloud_id: int, lease: KnownLease | None, verdict: Verdict | None
) -> None:
    leases = {} if lease is None else {OURS: lease}
    found = suspects([Listed(cloud_id=cloud_id, label=label)], leases, {"home"})
    assert [each.verdict for each in found] == ([] if verdict is None else [verdict])


@pytest.mark.parametrize(
    "label",
    [None, "", "mine", "dumont", "dumont/home", "dumont/home/", "dumont/away/lease_1", "dumont/home/lease_1/x",
     "xdumont/home/lease_1", "Dumont/home/lease_1", "dumont/home2/lease_1", " dumont/home/lease_1"],
)  # fmt: skip
def test_what_does_not_carry_our_exact_label_is_never_judged(label: str | None) -> None:
    assert suspects([Listed(cloud_id=1, label=label)], {}, {"home"}) == []


@given(st.text(max_size=40), st.text(max_size=10))
def test_no_foreign_label_is_ever_ours(label: str, installation: str) -> None:
    for suspect in suspects([Listed(cloud_id=1, label=label)], {}, {installation}):
        assert suspect.label == label
        assert label.startswith(f"dumont/{installation}/")


@pytest.mark.parametrize(
    ("verdict", "seen_before", "stopped_before", "is_stopped", "action"),
    [
        (Verdict.RELEASE, None, None, False, None),
        (Verdict.RELEASE, 29, None, False, None),
        (Verdict.RELEASE, 30, None, False, Action.DESTROY),
        (Verdict.UNKNOWN, None, None, False, None),
        (Verdict.UNKNOWN, 29, None, False, None),
        (Verdict.UNKNOWN, 30, None, False, Action.STOP),
        (Verdict.UNKNOWN, 90_000, 3600, True, None),
        (Verdict.UNKNOWN, 90_000, 3600, False, Action.STOP),
        (Verdict.UNKNOWN, 90_000, 86_400, True, Action.DESTROY),
    ],
)
def test_a_verdict_needs_two_listings_apart_and_the_unknown_a_day(
    verdict: Verdict, seen_before: int | None, stopped_before: int | None, is_stopped: bool, action: Action | None
) -> None:
    suspect = Suspect(cloud_id=7, label=OURS, verdict=verdict, is_stopped=is_stopped)
    ago = {} if seen_before is None else {7: _sighting(verdict, seen_before, stopped_before)}
    assert [each.action for each in sentences([suspect], ago, NOW, Policy())] == ([] if action is None else [action])


def test_another_suspicion_starts_the_time_anew() -> None:
    suspect = Suspect(cloud_id=7, label=OURS, verdict=Verdict.RELEASE)
    assert sentences([suspect], {7: _sighting(Verdict.UNKNOWN, 3600, None)}, NOW, Policy()) == []


@pytest.mark.parametrize(("live", "limit"), [(0, 3), (10, 3), (30, 3), (31, 4), (1000, 100)])
def test_the_brake(live: int, limit: int) -> None:
    assert brake(live) == limit


def _sighting(verdict: Verdict, seconds: int, stopped: int | None) -> Sighting:
    return Sighting(
        verdict=verdict,
        first_seen_at=NOW - timedelta(seconds=seconds),
        stopped_at=None if stopped is None else NOW - timedelta(seconds=stopped),
    )


@pytest.mark.parametrize(
    ("judged", "allowed", "expired", "live", "done"),
    [
        (3, 0, 0, 0, 3),
        (4, 0, 0, 0, 0),
        (4, 0, 0, 40, 4),
        (9, 4, 0, 0, 4),
        (9, 6, 0, 0, 9),
        (9, 9, 0, 0, 9),
        (9, 0, 9, 0, 0),
    ],
)
def test_more_than_the_brake_allows_takes_a_persons_word(
    judged: int, allowed: int, expired: int, live: int, done: int
) -> None:
    hour = timedelta(hours=1)
    words = {
        number: Sighting(
            verdict=Verdict.RELEASE,
            first_seen_at=NOW - hour,
            permitted_until=NOW + (hour if number < allowed else -hour),
        )
        for number in range(allowed + expired)
    }
    asked = [Sentence(cloud_id=number, label=OURS, action=Action.DESTROY) for number in range(judged)]
    assert [each.cloud_id for each in braked(asked, words, NOW, live)] == list(range(done))
