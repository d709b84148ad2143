"""The desired state of instances, written to the row first, so that a request outlives every process of ours."""

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from db.events import record_event
from db.instances.tables import Instance
from db.notify import notify_instance
from domain.instances.actions import InstanceAction, check_sleeps, wanted_by
from domain.instances.phases import Desired

_SENTENCES = {
    InstanceAction.PAUSE: "{by} wants it paused.",
    InstanceAction.RESUME: "{by} wants it running.",
    InstanceAction.WAKE: "{by} woke it.",
    InstanceAction.HIBERNATE: "{by} wants it hibernated.",
    InstanceAction.DESTROY: "{by} wants it destroyed.",
}


async def request_action(
    session: AsyncSession,
    instance: Instance,
    action: InstanceAction,
    *,
    by: str,
    told: str | None = None,
    by_itself: bool = False,
) -> bool:
    """Change the desired state by an action. True: it changed, so signal its workflow after the commit.

    The caller holds the row (`with_for_update`). `by`: who asks; `told`: a sentence for the timeline, instead of the
    usual one. `by_itself`: no person asked for this, so failed wakes still count.

    Raises:
        WrongState, NotForSleeping: nothing was written.
    """
    if action is not InstanceAction.DESTROY:
        check_sleeps(instance.purpose)
    wanted = wanted_by(action, instance.status, instance.desired)
    if wanted is instance.desired:
        return False
    instance.desired, instance.requested_by, instance.requested_at = wanted, by, func.clock_timestamp()
    if wanted is Desired.RUNNING and not by_itself:
        instance.failed_wakes = 0
    text = told or _SENTENCES[action].format(by=by)
    await record_event(session, instance.user_id, f"instance:{instance.id}", action.value, text)
    await notify_instance(session, instance.id)
    return True
