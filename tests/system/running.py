"""The whole system as its users and its enemies see it: REST in front, the simulator's books behind."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
import httpx
import psycopg
from sqlalchemy import create_engine, func, select
from sqlalchemy.exc import OperationalError

from db.machines.leases import GOOD
from db.machines.tables import Lease
from failpoints import Failpoint
from tests import plain_http
from tests.cli.installation import Installation
from tests.patience import PATIENCE_SECONDS

Answer = TypeVar("Answer")

MODEL = "Qwen/Qwen2.5-0.5B-Instruct"
CHECKLIST_BODY = {"model_type": "llm", "model_id": MODEL, "gpu_type": "RTX 4090", "max_price": 0.50}
PASSWORD = "correct-horse-battery"  # noqa: S105 - of a throwaway user on a throwaway system


class Running:
    """A running installation and one user of it."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.addresses = installation.read()
        self.folder = installation.folder.parent
        self.key = self.folder / "a key"
        self.api = plain_http.AsyncClient(base_url=self.addresses["api"] + "/api", timeout=120)
        self.simulator = plain_http.AsyncClient(base_url=self.addresses["simulator"], timeout=120)
        self.ledger = create_engine(self.addresses["database"], pool_pre_ping=True)

    @property
    def public_key(self) -> str:
        """Of the one key pair of these tests, made when it is first needed."""
        if not self.key.exists():
            key = asyncssh.generate_private_key("ssh-ed25519")
            self.key.touch(0o600)
            self.key.write_bytes(key.export_private_key("openssh"))
            key.write_public_key(f"{self.key}.pub")
        return Path(f"{self.key}.pub").read_text().strip()

    async def close(self) -> None:
        await self.api.aclose()
        await self.simulator.aclose()
        self.ledger.dispose()

    async def register(self) -> None:
        """Become a new user, on the installation's shared key."""

        async def registered() -> str | None:
            body = {"email": f"user-{secrets.token_hex(6)}@example.com", "password": PASSWORD}
            answer = await self.api.post("/auth/register", json=body)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["token"])

        token = await until(registered, 30, "the api, which the test before may have killed")
        self.api.headers["Authorization"] = f"Bearer {token}"

    async def deploy(self, **changes: Any) -> dict[str, Any]:
        """Start the checklist's deploy, with these changes; the answer's body."""
        answer = await self.api.post("/models/deploy", json=CHECKLIST_BODY | changes)
        return told(answer, 201)

    async def status(self, deployment_id: str) -> dict[str, Any]:
        answer = await self.api.get(f"/models/{deployment_id}/status")
        return told(answer, 200)

    async def ended(self, deployment_id: str, seconds: float = 60) -> dict[str, Any]:
        """The status once it is ready, failed or stopped. Outages of the api on the way are waited out."""

        async def over() -> dict[str, Any] | None:
            body = await self.status(deployment_id)
            return body if body["status"] != "deploying" else None

        return await until(over, seconds, f"{deployment_id} to end")

    async def ready(self, deployment_id: str, seconds: float = 60) -> dict[str, Any]:
        body = await self.ended(deployment_id, seconds)
        assert body["status"] == "ready", body
        return body

    async def stop(self, deployment_id: str) -> None:
        answer = await self.api.delete(f"/models/{deployment_id}")
        assert answer.status_code in (200, 202), answer.text
        await self.ended(deployment_id)

    async def job(self, script: str, **more: Any) -> dict[str, Any]:
        """Queue a job; the answer's body."""
        body = {"name": "test-job", "script": script, "gpu_type": "RTX 4090", "disk_size": 20, "timeout_minutes": 10}
        answer = await self.api.post("/jobs", json=body | more)
        return told(answer, 201)

    async def job_now(self, job_id: str) -> dict[str, Any]:
        answer = await self.api.get(f"/jobs/{job_id}")
        return told(answer, 200)

    async def job_becomes(self, job_id: str, *statuses: str, seconds: float = 90) -> dict[str, Any]:
        """The job once it has one of these statuses, or any final one where none is named."""
        wanted = statuses or ("completed", "failed", "timeout", "cancelled")

        async def there() -> dict[str, Any] | None:
            body = await self.job_now(job_id)
            return body if body["status"] in wanted else None

        return await until(there, seconds, f"{job_id} to be {' or '.join(wanted)}")

    async def job_output(self, job_id: str) -> dict[str, Any]:
        answer = await self.api.get(f"/jobs/{job_id}/output")
        return told(answer, 200)

    async def create(self, **changes: Any) -> dict[str, Any]:
        """Make an instance to work on, with our key for its door; the answer's body."""
        body = {"gpu_type": "RTX 4090", "disk_size": 20, "idle_pause_minutes": 60, "idle_hibernate_minutes": 60}
        body |= {"ssh_public_keys": [self.public_key]}
        answer = await self.api.post("/instances", json=body | changes)
        return told(answer, 201)

    async def instance(self, instance_id: int) -> dict[str, Any]:
        answer = await self.api.get(f"/instances/{instance_id}")
        return told(answer, 200)

    async def becomes(self, instance_id: int, status: str, seconds: float = 60) -> dict[str, Any]:
        """The instance once it has this status; at once an error when it has failed instead."""

        async def there() -> dict[str, Any] | None:
            body = await self.instance(instance_id)
            return body if body["status"] in (status, "failed") else None

        body = await until(there, seconds, f"instance {instance_id} to be {status}")
        assert body["status"] == status, body
        return body

    async def ask(self, instance_id: int, verb: str, *statuses: int) -> dict[str, Any]:
        """POST a verb; one of these statuses (200 or 202) is expected."""
        answer = await self.api.post(f"/instances/{instance_id}/{verb}")
        return told(answer, *(statuses or (200, 202)))

    async def ssh(self, instance: dict[str, Any], command: str, *, expect: int | None = 0) -> str:
        """Run a command with the ordinary OpenSSH client, strict about host keys; its output."""
        known = self.folder / f"known-{instance['id']}"
        line = f"[{instance['ssh_host']}]:{instance['ssh_port']} {instance['ssh_host_key']}\n"
        await asyncio.to_thread(known.write_text, line)
        strict = ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile='{known}'", "-o", "IdentitiesOnly=yes"]
        process = await asyncio.create_subprocess_exec(
            *("ssh", "-F", "none", "-i", str(self.key), *strict, "-p", str(instance["ssh_port"])),
            *(f"root@{instance['ssh_host']}", command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert expect is None or process.returncode == expect, (process.returncode, out, err)
        return out.decode()

    async def events(self, instance_id: int) -> list[str]:
        """The kinds of an instance's timeline, oldest first."""
        rows = (await self.api.get(f"/instances/{instance_id}/events", params={"limit": 100})).json()["events"]
        return [row["kind"] for row in reversed(rows)]

    async def fault(self, endpoint: str, fault: str, **more: Any) -> None:
        """Switch a fault on in the simulator, once unless `times` says otherwise."""
        body = {"endpoint": endpoint, "fault": fault, "times": 1} | more
        answer = await self.simulator.post("/simulator/faults", json=body)
        assert answer.status_code in (200, 201), answer.text

    async def machines(self, *, alive: bool | None = True) -> list[dict[str, Any]]:
        """The truth of the simulator's books: every machine, or those alive, or those gone."""
        rows: list[dict[str, Any]] = (await self.simulator.get("/simulator/books")).json()["machines"]
        return rows if alive is None else [row for row in rows if row["alive"] is alive]

    async def alive(self, count: int, seconds: float = 15) -> list[dict[str, Any]]:
        """Wait until so many machines are alive, and nothing is under way in the ledger that will change that."""

        async def right() -> list[dict[str, Any]] | None:
            if await asyncio.to_thread(self._under_way):
                return None
            rows = await self.machines()
            return rows if len(rows) == count else None

        return await until(right, seconds, f"{count} machines in the books, and all quiet in the ledger")

    def _under_way(self) -> list[Any]:
        """Leases that will still bring a machine, or give one back."""
        moving = ("reserved", "asked", "releasing")
        coming_or_going = select(Lease.id, Lease.state).where(
            Lease.state != "closed", Lease.state.in_(moving) | ~Lease.wanted
        )
        with self.ledger.connect() as database:
            return list(database.execute(coming_or_going))

    def rented_twice(self) -> list[Any]:
        """Holders that have more than one good lease now; what was two for a moment only, the protocol's judge sees."""
        holder = (Lease.holder_kind, Lease.holder_id)
        twice = select(*holder).where(GOOD).group_by(*holder).having(func.count() > 1)
        with self.ledger.connect() as database:
            return list(database.execute(twice))

    def order(self, point: Failpoint, word: str) -> Path:
        """Have the next process of ours that gets to this point do so: `kill` or `stop`. The file that tells it did."""
        folder = self.installation.folder.parent / "points"
        done = folder / f"{point.value}.reached"
        done.unlink(missing_ok=True)
        (folder / point.value).write_text(word)
        return done

    async def rent_by_hand(self, label: str) -> int:
        """Rent a machine past our program, as somebody with the account's key could; its id."""
        key = {"Authorization": f"Bearer {self.addresses['simulator_api_key']}"}
        search = {"num_gpus": {"eq": 1}, "rentable": {"eq": True}, "order": [["dph_total", "desc"]]}
        offers = await self.simulator.post("/api/v0/bundles/", json=search, headers=key)
        for offer in offers.json()["offers"]:
            body = {"client_id": "me", "image": "ubuntu", "disk": 10, "label": label, "runtype": "ssh", "env": {}}
            await asyncio.sleep(0.12)  # the cloud's own limit on rents, at the test's pace
            answer = await self.simulator.put(f"/api/v0/asks/{offer['id']}/", json=body, headers=key)
            if answer.is_success and answer.json().get("success"):
                return int(answer.json()["new_contract"])
        raise AssertionError("nothing could be rented by hand")

    async def machine(self, cloud_id: int) -> dict[str, Any]:
        """What the books say of one machine."""
        return next(row for row in await self.machines(alive=None) if row["id"] == cloud_id)

    def kill(self, name: str) -> int:
        """kill -9 one of our processes; its pid."""
        pid = int(self.installation.read()["pids"][name])
        os.kill(pid, signal.SIGKILL)
        return pid


def told(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The body of an answer that has to have one of these statuses."""
    assert answer.status_code in statuses, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def until(ask: Callable[[], Awaitable[Answer | None]], seconds: float, what: str) -> Answer:
    """Ask again until there is an answer, ever less often. A service that is down for the moment is asked again too.

    `seconds` is what it may take on a computer that does nothing else; no test fails because another one is busy.
    """
    deadline = time.monotonic() + seconds + PATIENCE_SECONDS
    last: object = None
    pause = 0.2
    while time.monotonic() < deadline:
        try:
            if (answer := await ask()) is not None:
                return answer
        except (httpx.TransportError, psycopg.OperationalError, OperationalError, AssertionError) as error:
            last = error
        await asyncio.sleep(pause)
        pause = min(1.2 * pause, 0.5)
    raise AssertionError(f"waited {seconds + PATIENCE_SECONDS:g} s in vain for {what}; last error: {last}")


async def at_stage(system: Running, deployment_id: str, stage: str) -> bool | None:
    """For `until`: whether a deploy is at this stage now."""
    return (await system.status(deployment_id))["stage"] == stage or None
