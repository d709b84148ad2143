"""What runs in an installation, in which order, with which settings."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cli.errors import CommandRefused
from cli.places import ROOT
from cli.private_files import write_private
from cli.up.environment import given_by_user, local_settings
from cli.up.postgres import postgres_spec
from cli.up.probes import answers
from cli.up.spec import Spec
from cli.up.temporal import temporal_spec

PARTS = ("postgres", "temporal", "simulator", "vault", "worker", "gateway", "api")

# `-P`: the folder that the user stands in must not offer modules to our processes.
PYTHON = (sys.executable, "-P")

NEEDED_FROM_OUTSIDE = {"postgres": "DUMONT_DATABASE_URL", "temporal": "DUMONT_TEMPORAL_ADDRESS"}


@dataclass(frozen=True)
class Plan:
    """One start of an installation."""

    folder: Path
    ports: Mapping[str, int]
    secrets: Mapping[str, str]
    parts: frozenset[str]
    speed: str = "fast"
    home: str = ""
    moved: bool = False

    @property
    def simulator_key_file(self) -> Path:
        """Where the simulator keeps the key that it made."""
        return self.folder / "simulator" / "api_key"

    def simulator_key(self) -> str | None:
        """The simulator's key, once it has run."""
        if "simulator" not in self.parts or not self.simulator_key_file.exists():
            return None
        return self.simulator_key_file.read_text().strip()

    def environment(self) -> dict[str, str]:
        """Every setting of our processes."""
        simulated = "simulator" in self.parts
        ours = local_settings(self.folder, self.ports, self.secrets, simulated=simulated, speed=self.speed)
        if key := self.simulator_key():
            ours["DUMONT_VAST_API_KEY"] = key
        # The folder and the port are settled by now, the user's word on them included.
        settled = {name: ours[name] for name in ("DUMONT_DATA_DIR", "DUMONT_GATEWAY_PORT")}
        settled |= {"DUMONT_HOME": self.home, "DUMONT_MOVED": str(self.moved).lower()} if self.home else {}
        return ours | given_by_user() | settled

    def specs(self) -> list[Spec]:
        """The processes, less those left out; who comes after one that is left out does not wait for it."""
        every = [self._postgres(), self._temporal(), self._simulator(), self._migrations(), *self._ours()]
        names = {spec.name for spec in every if spec.name in self.parts or spec.once}
        return [replace(spec, after=tuple(names.intersection(spec.after))) for spec in every if spec.name in names]

    def write_environment(self) -> None:
        """Keeps the settings for a process that somebody starts by hand, in a debugger for example."""
        lines = [f"{name}={shlex.quote(value)}" for name, value in sorted(self.environment().items())]
        write_private(self.folder / "environment", "\n".join(lines) + "\n")

    def _postgres(self) -> Spec:
        return postgres_spec(self.folder, self.ports["postgres"], self.secrets["postgres_password"])

    def _temporal(self) -> Spec:
        return temporal_spec(self.folder, self.ports["temporal"], self.ports["temporal-ui"])

    def _simulator(self) -> Spec:
        port = self.ports["simulator"]
        options = ["--data-dir", str(self.folder / "simulator"), "--host", "127.0.0.1", "--port", str(port)]
        for way_out in ("api", "vault", "simulator"):  # for its machines: their agents, snapshots, dead-man's switches
            options += ["--way-out", str(self.ports[way_out])]
        return Spec(
            name="simulator",
            command=(*PYTHON, "-m", "simulator", *options, "--speed", self.speed),
            ready=answers(port, "/health"),
            umask=0o022,  # its machines' users read each other's files as on any machine
        )

    def _migrations(self) -> Spec:
        command = (*PYTHON, "-m", "db.migrate")
        return Spec(name="migrations", command=command, after=("postgres",), environment=self.environment, once=True)

    def _ours(self) -> list[Spec]:
        after = ("migrations", "temporal", "simulator")
        gateway = answers(self.ports["gateway"], "/health")
        vault = answers(self.ports["vault"], "/health")
        api = answers(self.ports["api"], self._api_health())
        return [
            Spec("vault", (*PYTHON, "-m", "vault"), ("migrations",), vault, self.environment, stop_seconds=5.5),
            Spec("worker", (*PYTHON, "-m", "worker"), after, environment=self.environment, stop_seconds=5.5),
            Spec("gateway", (*PYTHON, "-m", "gateway"), after, gateway, self.environment),
            Spec("api", self._api_command(), after, api, self.environment),
        ]

    def _api_command(self) -> tuple[str, ...]:
        listen = ("--host", "127.0.0.1", "--port", str(self.ports["api"]))
        return (
            *(*PYTHON, "-m", "uvicorn", "api.main:app", "--app-dir", str(ROOT), *listen),
            *("--no-access-log", "--timeout-graceful-shutdown", "2"),
            # Longer than clients and proxies keep an idle connection (uvicorn's own 5 s are what httpx keeps it too):
            # a request on a connection that we are just closing is lost without an answer.
            *("--timeout-keep-alive", "75"),
        )

    def _api_health(self) -> str:
        """Its health covers the others'; with one left out on purpose it would never be well."""
        whole = {"worker", "gateway", "api"} <= self.parts
        return "/health" if whole else "/health/live"


def chosen_parts(without: tuple[str, ...], given: Mapping[str, str]) -> frozenset[str]:
    """Which parts run: all but those left out, and no simulator beside a real cloud."""
    for name in without:
        if name not in PARTS:
            raise CommandRefused(f"There is no part '{name}' to leave out. The parts are: {', '.join(PARTS)}.")
        if (needed := NEEDED_FROM_OUTSIDE.get(name)) and needed not in given:
            raise CommandRefused(f"--without {name} needs {needed}: the address of the one to use instead.")
    real_cloud = {"simulator"} if "DUMONT_VAST_API_KEY" in given else set()
    return frozenset(PARTS) - set(without) - real_cloud
