"""An agent on a machine of a real simulator, and the one that it reports to."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from activities.machines.agent_program import AgentSettings, installing
from clouds.vast import IN_MACHINE
from tests.agent.hub import TOKEN, Hub
from tests.simulator.conftest import Key, Simulator, key, poll, running  # noqa: F401 - `key` is a fixture
from tests.simulator.shells import address, answers, machine, options, say

INTERVAL = 1.0
"""Seconds. On a computer that others use too, a program has to get a fifth of a core to be seen at work."""


@dataclass
class Watched:
    """A machine with an agent."""

    simulator: Simulator
    hub: Hub
    key: Key
    row: dict[str, Any]
    settings: AgentSettings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = AgentSettings(
            base_url=f"http://host.simulator:{self.hub.port}",
            token=TOKEN,
            instance_id=7,
            interval=INTERVAL,
            cloud_url="",
            dead_man=3600,
            dead_man_idle=900,
            dead_man_busy=86_400,
            platform=IN_MACHINE,
        )

    def try_install(self, **changes: Any) -> subprocess.CompletedProcess[str]:
        command, stdin = installing(self.settings.model_copy(update=changes))
        host, port = address(self.row)
        argv = ["ssh", *options(self.key), "-p", str(port), f"root@{host}", command]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120, check=False)

    def install(self, **changes: Any) -> str:
        """The first line that the installation prints: `running PID`."""
        done = self.try_install(**changes)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[0]

    def say(self, command: str) -> str:
        return say(self.row, self.key, command)

    def start(self, command: str) -> None:
        """Leave a command running there, as somebody who logs out does."""
        self.say(f"setsid sh -c {command!r} </dev/null >/dev/null 2>&1 &")

    def runs(self, pattern: str) -> None:
        """Wait until a process has such a command line."""
        poll(lambda: self.say(f"pgrep -f '{pattern}' || true"))

    def is_alone(self, pattern: str = "[a]gent.pyz") -> None:
        """Wait until one process has such a command line: the second of two leaves when it finds the lock held."""
        poll(lambda: self.say(f"pgrep -fc '{pattern}' || true") == "1")

    def open_way(self, port: int) -> None:
        """Let the machine reach this port of ours too."""
        ways = {"way_out": [self.hub.port, port]}
        self.simulator.control.patch("/simulator/settings", json=ways).raise_for_status()

    def agent_pid(self) -> str:
        return self.say("cat ~/.dumont/agent/lock")

    def boot_again(self) -> None:
        """Once the machine that was restarted lets us in again."""
        self.row = poll(lambda: (row := self.simulator.show(self.row["id"]))["actual_status"] == "running" and row)
        poll(lambda: answers(*address(self.row)))

    def next_reports(self, count: int = 2) -> list[dict[str, Any]]:
        """Reports whose whole time was after now."""
        self.hub.forget()
        found: list[dict[str, Any]] = poll(lambda: self.hub.new(count + 1))
        return found[1:]

    def becomes_busy(self, *words: str) -> dict[str, Any]:
        """The first work that the agent tells of whose command or reason has one of these words."""
        self.hub.forget()

        def told() -> dict[str, Any] | None:
            works = [work for report in list(self.hub.reports) for work in report["busy"]]
            return next((each for each in works if any(word in f"{each}" for word in words)), None)

        found: dict[str, Any] = poll(told)
        return found

    def is_idle(self) -> bool:
        return all(each["busy"] == [] for each in self.next_reports(3))


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture(scope="package")
def cloud(tmp_path_factory: pytest.TempPathFactory, hub: Hub) -> Iterator[Simulator]:
    """A simulator whose machines reach the hub, and the simulator itself."""
    folder = tmp_path_factory.mktemp("agents") / "data"
    with running(folder, "--way-out", str(hub.port)) as simulator:
        yield simulator


@pytest.fixture
def bare(cloud: Simulator, hub: Hub, key: Key) -> Iterator[Watched]:  # noqa: F811 - the fixture
    """A machine without an agent."""
    hub.open()
    hub.status, hub.answer = 200, {"received": True, "action": "none", "message": ""}
    hub.forget()
    yield Watched(cloud, hub, key, machine(cloud, key, onstart="[ -x ~/.dumont/agent/start ] && ~/.dumont/agent/start"))
    cloud.control.post("/simulator/reset").raise_for_status()
    cloud.control.patch("/simulator/settings", json={"rate_limit_scale": 0}).raise_for_status()


@pytest.fixture
def watched(bare: Watched) -> Watched:
    bare.install()
    poll(bare.hub.new)
    return bare
