"""The agent's decisions that need no machine."""

from datetime import UTC, datetime

import pytest

from machine.agent.awake import until_when
from machine.agent.container import ports
from machine.agent.gpus import parsed
from machine.agent.processes import Process
from machine.agent.settings import Platform
from machine.agent.work import busy, is_traffic, moved

WRITTEN = 1_800_000_000.0


def used(cpu: float = 0.0, disk: int = 0, *, pid: int = 9) -> dict[tuple[int, int], Process]:
    return {(pid, 1): Process(pid, f"program {pid}", cpu, disk)}


@pytest.mark.parametrize(
    ("before", "after", "seconds", "count"),
    [
        (used(100), used(101), 10, 1),
        (used(100), used(100.9), 10, 0),
        (used(100), used(100.19), 0.5, 0),  # short looks are not more sensitive
        (used(100), used(100.2), 0.5, 1),
        ({}, used(5), 10, 1),  # new since the last look
        (used(100), {}, 10, 0),
        (used(100), used(0.1), 10, 0),
        (used(disk=0), used(disk=655_360), 10, 1),
        (used(disk=0), used(disk=655_359), 10, 0),
        (used(disk=0), used(disk=200_000), 0.5, 0),
    ],
)
def test_who_is_busy(before: dict, after: dict, seconds: float, count: int) -> None:  # type: ignore[type-arg]
    assert len(busy(before, after, seconds)) == count


def test_many_small_programs_are_work_together() -> None:
    few = {key: each for pid in range(3) for key, each in used(0.5, pid=pid).items()}
    many = {key: each for pid in range(4) for key, each in used(0.5, pid=pid).items()}
    assert busy({}, few, 10) == []
    (work,) = busy({}, many, 10)
    assert (work.pid, work.reason) == (0, "used 20 % of a core together")


def test_the_busiest_is_named_first() -> None:
    after = used(3, pid=1) | used(9, pid=2) | used(disk=10**9, pid=3)
    assert [each.pid for each in busy({}, after, 10)] == [2, 1, 3]


def test_bytes_of_connections() -> None:
    assert moved({1: 100, 2: 50}, {1: 160, 2: 50, 3: 7}) == {1: 60, 3: 7}
    assert moved({1: 100}, {1: 30}) == {1: 30}  # another connection by now
    assert is_traffic(163_840, 10)
    assert not is_traffic(163_839, 10)
    assert not is_traffic(65_535, 0.1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90\n", 5400), ("0.5", 30), ("-5", 0), ("1e99", 30 * 86_400), ("", 3600), ("tomorrow", 3600), ("2h", 3600)],
)
def test_how_long_to_be_kept_awake(text: str, seconds: float) -> None:
    assert until_when(text, WRITTEN) == WRITTEN + seconds


@pytest.mark.parametrize(
    "text", ["2027-01-15T08:00:00Z", "2027-01-15T10:00:00+02:00", "2027-01-15 08:00", "2027-01-15T08:00:00"]
)
def test_until_when_to_be_kept_awake(text: str) -> None:
    assert until_when(text, WRITTEN) == datetime(2027, 1, 15, 8, tzinfo=UTC).timestamp()


def test_ports_of_the_machine() -> None:
    """Names from 70000 on are wishes for a port that is the same inside and outside (clouds.md E)."""
    here = {
        "VAST_TCP_PORT_22": "40022",
        "VAST_UDP_PORT_53": "40053",
        "VAST_TCP_PORT_70000": "41234",
        "VAST_TCP_PORT_x": "1",
    }
    platform = Platform(ports="VAST_{kind}_PORT_{port}", wishes_from=70000)
    assert ports(here | {"PATH": "/bin"}, platform) == {"22/tcp": 40022, "53/udp": 40053, "41234/tcp": 41234}
    assert ports(here, Platform()) == {}


def test_what_nvidia_smi_says() -> None:
    two = parsed("3, NVIDIA A100, 1024, 81920, 40\n97, NVIDIA A100, 80000, 81920, [N/A]\n")
    assert two["utilization"] == 97
    assert two["gpu_memory_used"] == [1024, 80_000]
    assert two["gpu_temperatures"] == [40, None]
    assert "error" in parsed("[N/A], NVIDIA A100, 1, 2, 3\n")
    assert "error" in parsed("")
