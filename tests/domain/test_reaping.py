"""Whom the reaper may touch."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.machines.labels import parse_label
from domain.machines.reaping import (
    ActionRequest,
    Candidate,
    Finding,
    KnownLease,
    Listed,
    Policy,
    ReapAction,
    Sighting,
    action_requests,
    candidates,
    safety_limit,
    within_safety_limit,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OURS = "dumont/home/lease_1"
OPEN = KnownLease(is_open=True, cloud_id="7")
CLOSED = KnownLease(is_open=False, cloud_id="7")


@pytest.mark.parametrize(
    ("label", "cloud_id", "lease", "finding"),
    [
        (OURS, "7", OPEN, None),
        (OURS, "7", KnownLease(is_open=True, cloud_id=None), None),
        (OURS, "8", OPEN, Finding.RELEASE),
        (OURS, "7", CLOSED, Finding.RELEASE),
        (OURS, "7", None, Finding.UNKNOWN),
    ],
)
def test_what_no_open_lease_accounts_for_is_a_suspect(
    label: str, cloud_id: str, lease: KnownLease | None, finding: Finding | None
) -> None:
    leases = {} if lease is None else {OURS: lease}
    found = candidates([Listed(cloud_id=cloud_id, label=parse_label(label))], leases, {"home"})
    assert [each.finding for each in found] == ([] if finding is None else [finding])


@pytest.mark.parametrize(
    "label",
    [None, "", "mine", "dumont", "dumont/home", "dumont/home/", "dumont/away/lease_1", "dumont/home/lease_1/x",
     "xdumont/home/lease_1", "Dumont/home/lease_1", "dumont/home2/lease_1", " dumont/home/lease_1"],
)  # fmt: skip
def test_what_does_not_carry_our_exact_label_is_never_judged(label: str | None) -> None:
    assert candidates([Listed(cloud_id="1", label=parse_label(label))], {}, {"home"}) == []


@given(st.text(max_size=40), st.text(max_size=10))
def test_no_foreign_label_is_ever_ours(label: str, installation: str) -> None:
    for candidate in candidates([Listed(cloud_id="1", label=parse_label(label))], {}, {installation}):
        assert candidate.label == label
        assert label.startswith(f"dumont/{installation}/")


@pytest.mark.parametrize(
    ("finding", "seen_before", "stopped_before", "is_stopped", "action"),
    [
        (Finding.RELEASE, None, None, False, None),
        (Finding.RELEASE, 29, None, False, None),
        (Finding.RELEASE, 30, None, False, ReapAction.DESTROY),
        (Finding.UNKNOWN, None, None, False, None),
        (Finding.UNKNOWN, 29, None, False, None),
        (Finding.UNKNOWN, 30, None, False, ReapAction.STOP),
        (Finding.UNKNOWN, 90_000, 3600, True, None),
        (Finding.UNKNOWN, 90_000, 3600, False, ReapAction.STOP),
        (Finding.UNKNOWN, 90_000, 86_400, True, ReapAction.DESTROY),
    ],
)
def test_a_verdict_needs_two_listings_apart_and_the_unknown_a_day(
    finding: Finding, seen_before: int | None, stopped_before: int | None, is_stopped: bool, action: ReapAction | None
) -> None:
    candidate = Candidate(cloud_id="7", label=OURS, finding=finding, is_stopped=is_stopped)
    ago = {} if seen_before is None else {"7": _sighting(finding, seen_before, stopped_before)}
    assert [each.action for each in action_requests([candidate], ago, NOW, Policy())] == (
        [] if action is None else [action]
    )


def test_a_machine_that_cannot_be_stopped_is_told_of_once_and_destroyed_a_day_later() -> None:
    candidate, policy = Candidate(cloud_id="7", label=OURS, finding=Finding.UNKNOWN), Policy(stops=False)
    for stopped, action in [(None, ReapAction.STOP), (3600, None), (86_400, ReapAction.DESTROY)]:
        ago = {"7": _sighting(Finding.UNKNOWN, 90_000, stopped)}
        assert [each.action for each in action_requests([candidate], ago, NOW, policy)] == ([action] if action else [])


def test_another_suspicion_starts_the_time_anew() -> None:
    candidate = Candidate(cloud_id="7", label=OURS, finding=Finding.RELEASE)
    assert action_requests([candidate], {"7": _sighting(Finding.UNKNOWN, 3600, None)}, NOW, Policy()) == []


@pytest.mark.parametrize(("live", "limit"), [(0, 3), (10, 3), (30, 3), (31, 4), (1000, 100)])
def test_the_brake(live: int, limit: int) -> None:
    assert safety_limit(live) == limit


def _sighting(finding: Finding, seconds: int, stopped: int | None) -> Sighting:
    return Sighting(
        finding=finding,
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
        str(number): Sighting(
            finding=Finding.RELEASE,
            first_seen_at=NOW - hour,
            permitted_until=NOW + (hour if number < allowed else -hour),
        )
        for number in range(allowed + expired)
    }
    asked = [ActionRequest(cloud_id=str(number), label=OURS, action=ReapAction.DESTROY) for number in range(judged)]
    assert [each.cloud_id for each in within_safety_limit(asked, words, NOW, live)] == [
        str(number) for number in range(done)
    ]
