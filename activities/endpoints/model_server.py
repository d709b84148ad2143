"""The model server on an endpoint's machine, over SSH: start it, wait for it, see that it goes on serving."""

from typing import NamedTuple

from asyncssh import SSHClientConnection
from temporalio import activity

from activities.endpoints.serve_script import SCRIPT, installing
from activities.errors import Fault, Final, NotYet, ssh_errors
from activities.machines.machines import MachineActivities
from clients.ssh import CommandTimedOut, PortClosed, SshTarget, SshUnreachable, http_get, run
from db.endpoints import endpoints
from db.endpoints.deployments import plan_of
from db.endpoints.facts import running_machine
from db.sealing import Sealer
from db.session import Database
from domain.endpoints.looks import SILENT_LOOKS, ServerLook, ServerSeen
from domain.endpoints.phases import EndpointState
from domain.endpoints.plans import ServePlan
from domain.endpoints.runtimes import runtime_of
from failpoints import Failpoint, hit
from settings import Settings

SSH_DEADLINE = 15.0
KILL_DEADLINE = 30.0
"""For a server that is ended before it is started again: it gets some seconds to go by itself."""
ANSWER_DEADLINE = 10.0
LOADING_PAUSE = 0.3
"""Seconds between looks at a server that is loading: one SSH connection each, cheap beside minutes of loading."""


class _Place(NamedTuple):
    """Where an endpoint's server is, or is to be."""

    lease_id: str
    target: SshTarget
    plan: ServePlan
    key: str
    replaces: bool
    """Whether what is left of the last server has to be ended first."""
    silent_looks: int


class ModelServerActivities:
    def __init__(self, database: Database, sealer: Sealer, machines: MachineActivities, settings: Settings) -> None:
        self._database = database
        self._sealer = sealer
        self._machines = machines
        self._every = settings.server_check_seconds

    @activity.defn
    async def start_model_server(self, endpoint_id: str) -> None:
        """Put the model server on the machine and start it, detached; one that runs already is left alone."""
        place = await self._place(endpoint_id)
        with ssh_errors(LOADING_PAUSE):
            async with self._machines.ssh.connection(place.target, timeout=SSH_DEADLINE) as connection:
                try:
                    command = installing(place.plan, restart=place.replaces)
                    done = await run(connection, command, input=place.key, timeout=KILL_DEADLINE)
                except CommandTimedOut as error:
                    raise NotYet("the machine is slow to start the model server", 1.0) from error
        await hit(Failpoint.SERVER_STARTED)
        if done.exit_code != 0:
            said = done.stderr.strip()[-300:]
            raise Final(Fault.MODEL_FAILED, f"The model server could not be started: {said}")
        await self._record_loading(endpoint_id, place.lease_id)

    @activity.defn
    async def await_model(self, endpoint_id: str) -> None:
        """Pass when the server is well; be called again while it loads; end when its process has ended."""
        place = await self._place(endpoint_id)
        look = await self._look(place, runtime_of(place.plan.model_type).ready_paths, LOADING_PAUSE)
        if look.seen is ServerSeen.HEALTHY:
            return await hit(Failpoint.MODEL_HEALTHY)
        if look.seen is ServerSeen.ENDED:
            raise Final(Fault.MODEL_FAILED, f"The model server ended: {look.text}")
        raise NotYet("the model is loading", LOADING_PAUSE)

    @activity.defn
    async def watch_model_server(self, endpoint_id: str) -> ServerLook | None:
        """Be called again for as long as the server is well: the wait between two looks costs nothing but its timer.

        A machine that does not answer is no news of the server: whether it is lost, others find out. Returns what is
        wrong, or None when the rows say that there is nothing to watch here any more.
        """
        try:
            place = await self._place(endpoint_id, EndpointState.READY)
        except Final:
            return None
        look = await self._look(place, (runtime_of(place.plan.model_type).health_path,), self._every)
        if look.seen in (ServerSeen.ENDED, ServerSeen.LOADING):
            return look
        if look.seen is ServerSeen.SILENT or place.silent_looks:
            async with self._database.begin() as session:
                served = await endpoints.read(session, endpoint_id, lock=True)
                silent = await endpoints.note_look(session, served.endpoint, look.seen, self._every)
            if silent >= SILENT_LOOKS:
                return look
        raise NotYet(f"the model server is {look.seen}; the next look in {self._every:g} s", self._every)

    async def _look(self, place: _Place, paths: tuple[str, ...], pause: float) -> ServerLook:
        """One look at the server: does it say that it is well, and if not, is its process there?"""
        with ssh_errors(pause):
            async with self._machines.ssh.connection(place.target, timeout=SSH_DEADLINE) as connection:
                seen = await _answers(connection, place, paths)
                if seen is ServerSeen.HEALTHY:
                    return ServerLook(seen=seen)
                try:
                    said = await run(connection, f"{SCRIPT} status", timeout=SSH_DEADLINE)
                except CommandTimedOut as error:
                    raise NotYet("the machine is slow to say how the model server is", pause) from error
        if said.stdout.startswith("exited"):
            return ServerLook(seen=ServerSeen.ENDED, text=_last_line(said.stdout))
        return ServerLook(seen=seen)

    async def _record_loading(self, endpoint_id: str, lease_id: str) -> None:
        async with self._database.begin() as session:
            endpoint, _, _ = await endpoints.read(session, endpoint_id, lock=True)
            if endpoint.state.is_open:
                await endpoints.become(session, endpoint, EndpointState.LOADING, lease_id)

    async def _place(self, endpoint_id: str, *states: EndpointState) -> _Place:
        """The machine that serves the endpoint now.

        Raises:
            Final: NOT_WANTED; MACHINE_LOST when there is none any more, or its server is on another one.
        """
        async with self._database.begin() as session:
            endpoint, deployment, instance = await endpoints.read(session, endpoint_id)
            machine = await running_machine(session, instance)
        if not deployment.wanted or not endpoint.state.is_open or (states and endpoint.state not in states):
            raise Final(Fault.NOT_WANTED, "no longer wanted")
        moved = endpoint.state in (EndpointState.LOADING, EndpointState.READY)
        if machine is None or (moved and endpoint.lease_id != machine.id):
            raise Final(Fault.MACHINE_LOST, "The machine was lost under the model server.")
        key = self._sealer.open(endpoint.sealed_upstream_key, endpoints.UPSTREAM_KEY_PURPOSE)
        left = endpoint.trouble is not None and endpoint.trouble.leaves_process and endpoint.lease_id == machine.id
        target = self._machines.target(machine)
        return _Place(machine.id, target, plan_of(deployment, self._sealer), key, left, endpoint.silent_looks)


async def _answers(connection: SSHClientConnection, place: _Place, paths: tuple[str, ...]) -> ServerSeen:
    """What it says of itself; if SSH itself is gone meanwhile, the next command on it says so."""
    headers = {"Authorization": f"Bearer {place.key}"}
    try:
        for path in paths:
            status, _ = await http_get(connection, place.plan.port, path, headers, timeout=ANSWER_DEADLINE)
            if status != 200:
                return ServerSeen.SILENT
    except PortClosed:
        return ServerSeen.LOADING
    except (SshUnreachable, TimeoutError):
        return ServerSeen.SILENT
    return ServerSeen.HEALTHY


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if len(lines) > 1 else "it left no log"
