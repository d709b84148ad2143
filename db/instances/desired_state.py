"""What is wanted of instances: written to their rows by one function, for owners and for the flows that act for them.

Their workflows read it and work towards it. The row comes first, so a request outlives every process of ours.
"""

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from db.events import record_event
from db.instances.tables import Instance
from db.notify import notify_instance
from domain.instances.actions import InstanceAction, check_sleeps, wanted_by
from domain.instances.phases import Desired

ITS_ENDPOINT, ITS_JOB = "its model", "its job"
"""Who asked, where a flow did so for itself."""

_SENTENCES = {
    InstanceAction.PAUSE: "{by} wants it paused.",
    InstanceAction.RESUME: "{by} wants it running.",
    InstanceAction.WAKE: "{by} woke it.",
    InstanceAction.HIBERNATE: "{by} wants it hibernated.",
    InstanceAction.DESTROY: "{by} wants it destroyed.",
}


async def set_desired(
    session: AsyncSession, instance: Instance, desired: Desired, *, by: str, why: str, kind: str = ""
) -> bool:
    """Write what the instance shall be, who asked for it and why. The caller holds the row.

    True: that is news, so its workflow has to be told after the commit. Nothing takes back that it shall be destroyed.
    `kind`: of the event in its timeline, when it is not the desired state itself.
    """
    if instance.desired in (desired, Desired.DESTROYED):
        return False
    instance.desired, instance.requested_by, instance.requested_at = desired, by, func.clock_timestamp()
    await record_event(session, instance.user_id, f"instance:{instance.id}", kind or desired.value, why)
    await notify_instance(session, instance.id)
    return True


async def request_action(
    session: AsyncSession,
    instance: Instance,
    action: InstanceAction,
    *,
    by: str,
    why: str | None = None,
    by_itself: bool = False,
) -> bool:
    """An owner asks this of the instance, by whatever way. True: that is news. The caller holds the row.

    `why`: the timeline's sentence, where there is a better one. `by_itself`: no person asked for just this, so failed
    wakes are not forgotten because of it.

    Raises:
        WrongState, NotForSleeping: nothing was written.
    """
    if action is not InstanceAction.DESTROY:
        check_sleeps(instance.kind)
    desired = wanted_by(action, instance.status, instance.desired)
    if desired is Desired.RUNNING and desired is not instance.desired and not by_itself:
        instance.failed_wakes = 0
    text = why or _SENTENCES[action].format(by=by)
    return await set_desired(session, instance, desired, by=by, why=text, kind=action.value)
