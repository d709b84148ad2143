"""The dead-man's switch: our downtime stops idle machines, and never kills a training run."""

import pytest

from machine.agent.dead_man import reason
from machine.agent.settings import Settings
from tests.agent.conftest import Watched
from tests.simulator.conftest import poll

SETTINGS = Settings("http://x", "t", 1, 5, dead_man=7200, dead_man_idle=900, dead_man_busy=86_400)


@pytest.mark.parametrize(
    ("silent", "idle", "stops"),
    [
        (0, 1e9, False),
        (7199, 1e9, False),
        (7200, 899, False),
        (7200, 900, True),
        (86_399, 0, False),
        (86_400, 0, True),
    ],
)
def test_when_it_acts(silent: float, idle: float, stops: bool) -> None:
    assert bool(reason(silent, idle, SETTINGS)) is stops


def orphaned(watched: Watched, **values: float) -> None:
    """From now on nobody answers, and the switch waits for these seconds."""
    port = int(watched.simulator.url.rpartition(":")[2])
    watched.open_way(port)
    watched.hub.status = 503
    watched.try_install(cloud_url=f"http://host.simulator:{port}", **values)  # it may be cut off by what it brings


def test_an_idle_machine_that_lost_us_stops_itself_and_keeps_its_files(watched: Watched) -> None:
    watched.say("echo kept > /workspace/file")
    number = watched.row["id"]
    orphaned(watched, dead_man=8, dead_man_idle=2)  # time enough for its first report when it is back
    watched.row = watched.simulator.await_status(number, "exited")
    watched.hub.status = 200
    watched.simulator.vast.put(f"/api/v0/instances/{number}/", json={"state": "running"}).raise_for_status()
    watched.simulator.await_status(number, "running")
    watched.boot_again()
    assert watched.say("cat /workspace/file") == "kept"
    assert watched.next_reports()  # the time that it slept is no silence


def test_a_machine_that_works_or_is_kept_awake_goes_on_until_a_day_has_passed(watched: Watched) -> None:
    watched.say("echo 'while :; do head -c 500000 /dev/zero >> /workspace/out; sleep 0.2; done' > train.sh")
    watched.start("exec bash train.sh")
    watched.start("exec python3 -c 'while True: pass'")  # seen at work when a busy disk lets the other one wait
    watched.becomes_busy("on disk")
    orphaned(watched, dead_man=1, dead_man_idle=4)
    assert "stop" not in watched.say("sleep 7; cat ~/.dumont/agent/agent.log")
    watched.say("echo 60 > ~/.dumont/keep_awake; pkill -9 -f '[t]rain.sh'; pkill -9 -f '[w]hile True'")
    assert "stop" not in watched.say("sleep 7; cat ~/.dumont/agent/agent.log")
    orphaned(watched, dead_man=1, dead_man_idle=4, dead_man_busy=2)
    watched.simulator.await_status(watched.row["id"], "exited")


def test_a_cloud_that_does_not_answer_is_asked_again(watched: Watched) -> None:
    number = watched.row["id"]
    fault = {"endpoint": f"PUT /api/v0/instances/{number}", "fault": "status", "status": 502, "times": 2}
    watched.simulator.control.post("/simulator/faults", json=fault).raise_for_status()
    orphaned(watched, dead_man=1, dead_man_idle=1)
    poll(lambda: watched.simulator.show(number)["actual_status"] == "exited")
