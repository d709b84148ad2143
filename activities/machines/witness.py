"""Does anybody still know a machine that its cloud calls lost? Its listing and its page may lie together."""

from pydantic import BaseModel
from temporalio import activity

from activities.errors import provider_errors
from activities.machines.machines import MachineActivities
from clients.ssh import SshError, connect
from clouds.connections import Providers
from clouds.errors import MachineNotFound, Refused
from clouds.provider import Verb
from db.machines.tables import Lease
from domain.machines.machines import does_not_run

SSH_DEADLINE = 5.0


class Suspicion(BaseModel):
    """`is_denied`: its cloud says that there is no such machine, and not only that it does not run."""

    lease_id: str
    is_denied: bool


class WitnessActivities:
    def __init__(self, providers: Providers, machines: MachineActivities) -> None:
        self._providers = providers
        self._database = providers.database
        self._machines = machines

    @activity.defn
    async def ask_witnesses(self, suspicion: Suspicion) -> str | None:
        """What speaks against the loss, in words. None: nothing, so the machine is lost.

        The machine itself, over SSH and with its own host key. Where that is silent, as every stopped one is and every
        one while our own network is away, its cloud again. Of one that it denies: where it writes. Told to keep our key
        there, it has to know the machine; that changes nothing. Of any other: its own page, as it is now.
        """
        async with self._database.begin() as session:
            lease = await session.get_one(Lease, suspicion.lease_id)
        if await self._answers(lease):
            return "it answers over SSH"
        if not suspicion.is_denied:
            return "its cloud says now that it runs" if await self._runs(lease) else None
        return "its cloud takes our key for it" if await self._takes_our_key(lease) else None

    async def _answers(self, lease: Lease) -> bool:
        """Whether a machine with the lease's host key lets us in; another one at its address is no witness."""
        if lease.host_key is None:
            return False
        for target in self._machines.targets(lease).values():
            try:
                connection = await connect(target, timeout=SSH_DEADLINE)
            except (SshError, TimeoutError):
                continue
            connection.close()
            return True
        return False

    async def _runs(self, lease: Lease) -> bool:
        """Whether its page does not say that it does not run; what it cannot say now is asked again."""
        if lease.cloud_id is None:
            return False
        with provider_errors():
            await self._providers.take_turn(lease.account_id, Verb.GET)
            async with self._providers.calling(lease.provider_key_id, Verb.GET) as provider:
                machine = await provider.get(lease.cloud_id)
        return machine is not None and not does_not_run(machine.seen)

    async def _takes_our_key(self, lease: Lease) -> bool:
        """Whether the cloud knows the machine; what it cannot say now is asked again."""
        if lease.cloud_id is None:
            return False
        with provider_errors():
            await self._providers.take_turn(lease.account_id, Verb.ATTACH_KEY)
            async with self._providers.calling(lease.provider_key_id, Verb.ATTACH_KEY) as provider:
                try:
                    await provider.attach_key(lease.cloud_id, lease.public_key)
                except MachineNotFound:
                    return False
                except Refused as refusal:
                    if "already" in str(refusal).lower():  # this key is there: so is the machine (clouds.md D6)
                        return True
                    raise  # it says nothing of the machine, as when this key of ours may not do this
        return True
