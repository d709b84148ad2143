"""What SSH through the gateway costs against SSH to the machine itself, in one run, with the real OpenSSH client.

Processes on this host: the simulator with one machine, the real gateway on a PostgreSQL of its own, and this one, which
runs `ssh` and `scp`. Direct and through take turns. Then a thousand sleeping instances: what the gateway uses for them.
"""

import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.figures import Count, Figure
from db.instances.ssh_identity import new_identity
from db.instances.tables import Instance, SshPort
from db.migrate import migrate
from db.session import Database
from domain.instances.instances import InstanceSpec
from domain.instances.phases import Desired, InstanceKind, InstanceStatus
from domain.market.offers import OfferQuery
from tests.gateway.asking import becomes
from tests.gateway.rows import SECRETS
from tests.gateway.ssh.client import Client, finished
from tests.gateway.ssh.place import Place, Rented, rent
from tests.ports import free_port
from tests.postgres import Postgres
from tests.simulator.conftest import running

SHARD = "bench"
LOGINS = 30
KEYSTROKES = 300
ROUNDS = 5
COPY_BYTES = 100_000_000
SLEEPERS = 1000
WATCHED_SECONDS = 20.0


def measure() -> list[Figure | Count]:
    """Login, keystroke and copy, direct and through; then CPU and memory for sleepers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        postgres = Postgres(folder)
        postgres.start()
        try:
            migrate(postgres.url("postgres"))
            with running(folder / "data") as simulator:
                return asyncio.run(_measure(postgres.url("postgres"), rent(simulator), folder))
        finally:
            postgres.stop()


async def _measure(database_url: str, machine: Rented, folder: Path) -> list[Figure | Count]:
    database = Database(database_url, pool_size=2)
    place = Place(database, folder, SHARD)
    await place.begin(machine)
    direct, through = _direct(place, machine, folder), Client(place, place.port, place.key)
    known = f"[127.0.0.1]:{place.port} {place.host_key}\n[{machine.host}]:{machine.port} {machine.host_key}\n"
    place.known_hosts.write_text(known)
    async with _gateway(database_url) as process:
        await becomes(lambda: _works(through), True)
        figures = await _compared(direct, through, folder)
        figures += await _idle(process, "nobody asleep")
        await _sleepers(place)
        figures += await _idle(process, f"{SLEEPERS} asleep")
    await database.close()
    return figures


class _Direct(Client):
    """A client of the machine itself."""

    def __init__(self, place: Place, machine: Rented, key: Path) -> None:
        super().__init__(place, machine.port, key)
        self._host = machine.host

    @property
    def target(self) -> str:
        return f"root@{self._host}"


def _direct(place: Place, machine: Rented, folder: Path) -> Client:
    key = folder / "lease_key"
    key.write_text(machine.private_key)
    key.chmod(0o600)
    return _Direct(place, machine, key)


async def _works(client: Client) -> bool:
    return (await client.run("true")).code == 0


async def _compared(direct: Client, through: Client, folder: Path) -> list[Figure | Count]:
    both = {"direct": direct, "through the gateway": through}
    figures: list[Figure | Count] = []
    logins: dict[str, list[float]] = {name: [] for name in both}
    for _ in range(LOGINS):
        for name, client in both.items():
            logins[name].append(await _login(client))
    figures += [Figure(f"`ssh … true`, {name}", samples) for name, samples in logins.items()]
    figures.append(_added("login", logins, 100))
    strokes = {name: await _keystrokes(client) for name, client in both.items()}
    figures += [Figure(f"a keystroke and back, {name}", samples) for name, samples in strokes.items()]
    figures.append(_added("keystroke", strokes, 2))
    for what, copy in (("scp up", _scp_up), ("scp down", _scp_down), ("`ssh … cat` up", _cat_up)):
        seconds: dict[str, list[float]] = {name: [] for name in both}
        for _ in range(ROUNDS):
            for name, client in both.items():
                seconds[name].append(await copy(client, folder))
        for name, samples in seconds.items():
            rate = COPY_BYTES / 1e6 / statistics.median(samples)
            figures.append(Figure(f"{what} of 100 MB, {name}: {rate:.0f} MB/s", [each * 1000 for each in samples]))
    return figures


def _added(what: str, samples: dict[str, list[float]], limit: float) -> Figure:
    plain, relayed = (statistics.median(each) for each in samples.values())
    return Figure(f"{what} added, p50", [relayed - plain], limit)


async def _login(client: Client) -> float:
    began = time.perf_counter()
    if (await client.run("true")).code != 0:
        raise RuntimeError("the login failed")
    return (time.perf_counter() - began) * 1000


async def _keystrokes(client: Client) -> list[float]:
    """One byte at a time into a raw terminal that sends it back."""
    process = await client.start("-tt", client.target, "stty raw -echo; echo ready; exec cat")
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    await process.stdout.readuntil(b"ready")
    await asyncio.sleep(0.5)
    await process.stdout.read(100)
    samples = []
    for _ in range(KEYSTROKES):
        began = time.perf_counter()
        process.stdin.write(b"x")
        await process.stdout.readexactly(1)
        samples.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.005)
    process.kill()
    await process.wait()
    return samples


async def _scp_up(client: Client, folder: Path) -> float:
    file = await asyncio.to_thread(_filled, folder / "file")
    return await _timed(["scp", *client.options, str(file), f"{client.target}:/tmp/file"])


async def _scp_down(client: Client, folder: Path) -> float:
    return await _timed(["scp", *client.options, f"{client.target}:/tmp/file", str(folder / "back")])


async def _cat_up(client: Client, folder: Path) -> float:
    command = client.command(client.target, "cat > /dev/null")
    return await _timed(["sh", "-c", f'"$@" < {folder / "file"}', "sh", *command])


async def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    done = await finished(command)
    if done.code != 0:
        raise RuntimeError(done.err)
    return time.perf_counter() - began


def _filled(file: Path) -> Path:
    if not file.exists():
        file.write_bytes(os.urandom(COPY_BYTES))
    return file


async def _sleepers(place: Place) -> None:
    async with place.database.begin() as session:
        _, sealed = new_identity(place.rows.sealer)
        for port in range(30000, 30000 + SLEEPERS):
            instance = Instance(
                user_id=place.rows.user_id,
                provider_key_id=place.rows.key_id,
                kind=InstanceKind.INTERACTIVE,
                status=InstanceStatus.HIBERNATED,
                desired=Desired.HIBERNATED,
                spec=InstanceSpec(query=OfferQuery()).model_dump(mode="json"),
                ssh_port=port,
                sealed_ssh_host_key=sealed,
            )
            session.add(instance)
            await session.flush()
            session.add(SshPort(shard=SHARD, port=port, instance_id=instance.id))


async def _idle(process: asyncio.subprocess.Process, who: str) -> list[Figure | Count]:
    await asyncio.sleep(5)
    before = _cpu_seconds(process.pid)
    await asyncio.sleep(WATCHED_SECONDS)
    share = 100 * (_cpu_seconds(process.pid) - before) / WATCHED_SECONDS
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])  # noqa: ASYNC240 - no file at all
    memory = pages * resource.getpagesize() // 1_000_000
    hundredths = round(100 * share)
    return [
        Count(f"{who}: the gateway's CPU, in hundredths of a percent of a core", hundredths, 200),
        Count(f"{who}: the gateway's memory, MB", memory),
    ]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def _gateway(database_url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    settings = {
        "DUMONT_DATABASE_URL": database_url,
        "DUMONT_GATEWAY_PORT": str(free_port()),
        "DUMONT_SECRET_KEYS": SECRETS,
        "DUMONT_SSH_PORT": "0",
        "DUMONT_SSH_SHARD": SHARD,
        "DUMONT_PUBLIC_URL": "http://reachable",
        "DUMONT_VAULT_URL": "http://reachable",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway", env=os.environ | settings)
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()
