"""The agents of machines: put there over SSH, judged by what they say."""

from datetime import timedelta

from pydantic import BaseModel, ValidationError
from temporalio import activity

from activities.errors import NotYet, ssh_errors
from activities.machines.agent_program import AgentSettings, installing
from activities.machines.machines import MachineActivities
from clients.ssh import CommandTimedOut, Completed, SshError, SshTarget, run
from clouds.provider import Cloud
from db.accounts.tables import Account
from db.instances.tables import Instance
from db.machines.agent_reports import record_report
from db.machines.lease_tokens import AGENT, lease_token, living_lease
from db.machines.leases import holder_of
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from domain.instances.idleness import warning
from domain.machines.agents import AgentStatus
from settings import Settings

SSH_DEADLINE = 15.0
SSH_PAUSE = 1.0
INSTALL_DEADLINE = 30.0
DEAD_MAN_IDLE = timedelta(minutes=15)
DEAD_MAN_BUSY = timedelta(days=1)
"""Design section 10: without contact an idle machine stops itself, a busy one only after a day."""

NO_PYTHON = 3
"""How agent/start.sh ends where no suitable Python is."""

SAY = (
    "export DUMONT_OURS=1; umask 077; mkdir -p ~/.dumont; cat > ~/.dumont/say; cd ~/.dumont; "
    "cmp -s say said || { mv -f say said; "
    "for at in /dev/pts/[0-9]*; do "
    '(printf "\\r\\n\\a"; cat said; printf "\\r\\n") | timeout 2 tee "$at" >/dev/null; done; }'
)
"""Writes stdin to every terminal, unless it was the last thing said (machine/agent/terminals.py uses the same file)."""


class AgentInstalled(BaseModel):
    """`installed` False: it cannot run there, or the machine is being given back; `why` says it to a person."""

    installed: bool
    why: str = ""


class AgentActivities:
    def __init__(self, database: Database, sealer: Sealer, settings: Settings, machines: MachineActivities) -> None:
        self._database = database
        self._sealer = sealer
        self._settings = settings
        self._machines = machines

    @activity.defn
    async def install_agent(self, lease_id: str) -> AgentInstalled:
        """Have this version of the agent run on the lease's machine; one that runs already is left alone.

        Also the repair of a silent one: what it could not deliver is fetched and recorded.
        """
        async with self._database.begin() as session:
            lease = await living_lease(session, lease_id)
            account = None if lease is None else await session.get_one(Account, lease.account_id)
        if lease is None or account is None:
            return AgentInstalled(installed=False, why="the machine is being given back")
        told = self._told(lease, account, await self._machines.cloud_of(lease))
        done = await self._install(self._machines.target(lease), told)
        if done.exit_code == NO_PYTHON:
            return AgentInstalled(installed=False, why="its image has no Python 3.8 or later for our agent")
        if done.exit_code != 0:
            return AgentInstalled(installed=False, why=f"the agent does not start: {done.stderr.strip()[-200:]}")
        await self._record_fetched(lease, done.stdout)
        return AgentInstalled(installed=True)

    async def _install(self, target: SshTarget, told: AgentSettings) -> Completed:
        command, stdin = installing(told)
        with ssh_errors(SSH_PAUSE):
            async with self._machines.ssh.connection(target, timeout=SSH_DEADLINE) as connection:
                try:
                    done = await run(connection, command, input=stdin, timeout=INSTALL_DEADLINE)
                except CommandTimedOut as error:
                    raise NotYet("the machine is slow to install the agent", SSH_PAUSE) from error
        return done

    def _told(self, lease: Lease, account: Account, cloud: Cloud) -> AgentSettings:
        settings = self._settings
        return AgentSettings(
            base_url=settings.public_url or "",
            token=lease_token(self._sealer, lease.id, AGENT),
            instance_id=holder_of(lease).instance_id or 0,
            interval=settings.agent_seconds,
            # one that cannot reach us would never have contact: it has no dead-man's switch
            cloud_url=(settings.machine_cloud_url or account.url) if settings.public_url else "",
            dead_man=settings.dead_man_hours * 3600,
            dead_man_idle=min(DEAD_MAN_IDLE.total_seconds(), settings.dead_man_hours * 3600),
            dead_man_busy=DEAD_MAN_BUSY.total_seconds(),
            platform=cloud.in_machine,
        )

    async def _record_fetched(self, lease: Lease, printed: str) -> None:
        """The report that stood on the machine, if any. One that we cannot read is as good as none."""
        _, _, report = printed.partition("\n")
        try:
            status = AgentStatus.model_validate_json(report)
        except ValidationError:
            return
        async with self._database.begin() as session:
            await record_report(session, lease, status)

    @activity.defn
    async def warn_users(self, instance_id: int) -> bool:
        """Tell whoever sits at a terminal of the machine that it pauses soon. Never fails; False: it could not be said.

        The agent says the same words when it hears of the pause first; they are said once.
        """
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, instance_id)
            lease = None if instance.lease_id is None else await living_lease(session, instance.lease_id)
        if lease is None or instance.will_pause_at is None:
            return False
        try:
            async with self._machines.ssh.connection(self._machines.target(lease), timeout=SSH_DEADLINE) as connection:
                said = await run(connection, SAY, input=warning(instance.will_pause_at), timeout=SSH_DEADLINE)
        except (SshError, NotYet):
            return False
        return said.exit_code == 0
