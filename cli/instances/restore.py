"""`dumont restore`: a snapshot's files, on a new instance or on one that is there."""

import uuid
from typing import Any

from cli.api import Api
from cli.errors import Refused
from cli.flags import AsJson, Detach, Yes
from cli.instances.find import by_id, find
from cli.instances.following import Manner, announce, follow, manner
from cli.instances.goal import Goal
from cli.instances.schemas import InstanceView
from cli.instances.timeline import Timeline
from cli.prompts import agreed
from cli.where import Where, session_at
from domain.instances.phases import InstanceStatus


def restore(
    snapshot: str,
    /,
    *,
    into: str | None = None,
    gpu: str | None = None,
    max_price: float | None = None,
    yes: Yes = False,
    detach: Detach = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Bring a snapshot's files back, on a new instance or on one that is there.

    Parameters
    ----------
    snapshot
        Its id, such as snap_1a2b3c; `dumont snapshots` shows them.
    into
        Id or label of the instance to restore into; what is there is snapshotted first [default: a new instance].
    gpu
        The GPU of the new instance [default: that of the one the snapshot is of].
    max_price
        The most to pay for the new instance, in USD per hour.
    """
    how = manner(detach, as_json)
    if into and (gpu or max_price):
        raise Refused("--into restores on the instance as it is; --gpu and --max-price are for a new one.")
    with session_at(where) as session:
        there = find(session, into) if into else None
        what = f"into instance {there.name}, whose files are snapshotted first" if there else "to a new instance"
        if not yes and not agreed(how.console, f"Restore {snapshot} {what}?"):
            raise Refused("Nothing was restored.")
        if there:
            in_place(session, snapshot, there, how)
        else:
            to_a_new_one(session, snapshot, gpu, max_price, how)


def in_place(session: Api, snapshot: str, there: InstanceView, how: Manner) -> None:
    """The instance may run already; it must reach `running` again."""
    timeline = Timeline.from_now(session, there.id)
    answer = request_restore(session, snapshot, instance_id=there.id)
    follow(session, timeline, answer, Goal(InstanceStatus.RUNNING, anew=True), how)


def to_a_new_one(session: Api, snapshot: str, gpu: str | None, max_price: float | None, how: Manner) -> None:
    answer = request_restore(session, snapshot, gpu_type=gpu, max_price=max_price)
    timeline = Timeline(session, int(answer["instance_id"]))
    if made := by_id(session, str(timeline.instance_id)):
        announce(made, how.console)
    follow(session, timeline, answer, Goal(InstanceStatus.RUNNING), how)


def request_restore(session: Api, snapshot: str, **asked: object) -> dict[str, Any]:
    """Send the request. It carries a key, so a repeated one has no second effect."""
    body = {name: value for name, value in asked.items() if value is not None}
    return session.post(f"/snapshots/{snapshot}/restore", body, idempotency_key=str(uuid.uuid4()))
