"""What is believed of a machine, and when."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from domain.machines.labels import Label, parse_label
from domain.machines.machines import BootDecision, MachineSeen, Seen, boot_decision, is_lost, is_news, ssh_address
from domain.machines.phases import LeaseState, Power, SshWay
from domain.machines.power import PowerStep, next_power_step

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = timedelta(seconds=60)


def seen(state: Seen, seconds_ago: float) -> MachineSeen:
    return MachineSeen(state=state, since=NOW - timedelta(seconds=seconds_ago))


@pytest.mark.parametrize(
    ("look", "decision"),
    [
        (MachineSeen(), BootDecision.WAIT),
        (seen(Seen.UP, 0), BootDecision.UP),
        (seen(Seen.BOOTING, 3600), BootDecision.WAIT),
        (seen(Seen.UNKNOWN, 3600), BootDecision.WAIT),
        (seen(Seen.OFFLINE, 3600), BootDecision.WAIT),
        (seen(Seen.ABSENT, 59), BootDecision.WAIT),
        (seen(Seen.ABSENT, 60), BootDecision.FAILED),
        (seen(Seen.STOPPED, 10), BootDecision.WAIT),
        (seen(Seen.STOPPED, 61), BootDecision.FAILED),
        (seen(Seen.BROKEN, 61), BootDecision.FAILED),
    ],
)
def test_a_booting_machine_is_given_time(look: MachineSeen, decision: BootDecision) -> None:
    assert boot_decision(look, NOW, PATIENCE) is decision


@pytest.mark.parametrize("state", [Seen.UNKNOWN, Seen.OFFLINE, Seen.BOOTING, Seen.UP])
def test_what_is_not_surely_gone_is_not_lost(state: Seen) -> None:
    assert not is_lost(seen(state, 86_400), NOW, PATIENCE)


def steps(look: MachineSeen) -> list[PowerStep | BootDecision]:
    """All that is decided by it, whatever the lease says."""
    decided: list[PowerStep | BootDecision] = [boot_decision(look, NOW, PATIENCE)]
    for state, power, refused, kept, moved in product(LeaseState, Power, (True, False), (True, False), (0, 90, 200)):
        step = next_power_step(
            state,
            power,
            look,
            now=NOW,
            patience=PATIENCE,
            moved_at=NOW - timedelta(seconds=moved),
            stall=2 * PATIENCE,
            start_refused=refused,
            keeps_files=kept,
        )
        decided.append(step)
    return decided


@pytest.mark.parametrize(("old", "new", "ago"), list(product(Seen, Seen, (0, 61))))
def test_a_flow_decides_by_what_it_was_told_as_by_what_was_seen(old: Seen, new: Seen, ago: float) -> None:
    told, looked = seen(old, 100), seen(new, 100 if old is new else ago)
    assert is_news(told, looked, starts=False) or steps(told) == steps(looked)


def test_any_change_is_news_while_a_machine_is_started_again() -> None:
    look = seen(Seen.BOOTING, 10)
    assert is_news(look, look.model_copy(update={"actual_status": "loading"}), starts=True)
    assert not is_news(look, look.model_copy(update={"message": "pulling 3 of 9"}), starts=True)


def test_a_label_is_ours_only_when_it_is_whole_and_exact() -> None:
    label = Label("inst", "lease_1")
    assert parse_label(str(label)) == label
    for other in (None, "", "dumont", "dumont/inst", "dumont/inst/", "dumont/inst/lease_1/x", "dumontx/inst/lease_1"):
        assert parse_label(other) is None


DIRECT, RELAY = ("203.0.113.7", 40022), ("ssh4.vast.ai", 12345)
BOTH = MachineSeen(public_ipaddr=DIRECT[0], ports={"22/tcp": DIRECT[1]}, ssh_host=RELAY[0], ssh_port=RELAY[1])


@pytest.mark.parametrize(
    ("row", "way", "address"),
    [
        (BOTH, SshWay.DIRECT, DIRECT),
        (BOTH, SshWay.RELAY, RELAY),
        (BOTH.model_copy(update={"ports": {}}), SshWay.DIRECT, RELAY),
        (BOTH.model_copy(update={"public_ipaddr": None}), SshWay.DIRECT, RELAY),
        (BOTH.model_copy(update={"ssh_host": ""}), SshWay.RELAY, DIRECT),
        (MachineSeen(), SshWay.DIRECT, None),
    ],
)
def test_where_a_machine_answers(row: MachineSeen, way: SshWay, address: tuple[str, int] | None) -> None:
    assert ssh_address(row, way) == address
    assert way.other.other is way
