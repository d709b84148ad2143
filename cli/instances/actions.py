"""`dumont pause`, `resume`, `wake`, `hibernate` and `destroy`: each sends a request and follows it to its end."""

from cli.api import Api
from cli.errors import Refused
from cli.flags import AsJson, Detach, Flag, Yes
from cli.instances.find import find
from cli.instances.following import Manner, follow, manner
from cli.instances.format import price
from cli.instances.goal import Goal
from cli.instances.schemas import InstanceView
from cli.instances.timeline import Timeline
from cli.prompts import agreed
from cli.where import Where, session_at
from domain.instances.phases import InstanceStatus


def pause(name: str, /, *, detach: Detach = False, as_json: AsJson = False, where: Where | None = None) -> None:
    """Stop the GPU and keep the disk: files are saved, programs ended. Connecting wakes it again.

    Parameters
    ----------
    name
        Id or label.
    """
    with session_at(where) as session:
        ask(session, find(session, name), "pause", InstanceStatus.PAUSED, manner(detach, as_json))


def resume(name: str, /, *, detach: Detach = False, as_json: AsJson = False, where: Where | None = None) -> None:
    """Start a paused instance again. `dumont wake` also brings hibernated ones back.

    Parameters
    ----------
    name
        Id or label.
    """
    with session_at(where) as session:
        ask(session, find(session, name), "resume", InstanceStatus.RUNNING, manner(detach, as_json))


def wake(name: str, /, *, detach: Detach = False, as_json: AsJson = False, where: Where | None = None) -> None:
    """Have it running: start its machine again, or rent another and restore its files there.

    Parameters
    ----------
    name
        Id or label.
    """
    with session_at(where) as session:
        found, how = find(session, name), manner(detach, as_json)
        if found.status is not InstanceStatus.RUNNING and found.dph_total is not None:
            how.console.print(f"It cost {price(found.dph_total)} when it last ran.", highlight=False)
        ask(session, found, "wake?wait=false", InstanceStatus.RUNNING, how)


def hibernate(name: str, /, *, detach: Detach = False, as_json: AsJson = False, where: Where | None = None) -> None:
    """Give the machine back once a verified snapshot holds its files; then you only pay for storing the snapshot.

    Parameters
    ----------
    name
        Id or label.
    """
    with session_at(where) as session:
        ask(session, find(session, name), "hibernate", InstanceStatus.HIBERNATED, manner(detach, as_json))


def ask(session: Api, found: InstanceView, verb: str, status: InstanceStatus, how: Manner) -> None:
    """Send the request, and follow it."""
    timeline = Timeline.from_now(session, found.id)
    follow(session, timeline, session.post(f"/instances/{found.id}/{verb}", {}), Goal(status), how)


def destroy(
    name: str,
    /,
    *,
    yes: Yes = False,
    delete_snapshots: Flag = False,
    detach: Detach = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """End an instance and give its machine back for good. Its snapshots stay, and can be restored to a new one.

    Parameters
    ----------
    name
        Id or label.
    delete_snapshots
        Remove its snapshots too: nothing of its files is left then.
    """
    with session_at(where) as session:
        found, how = find(session, name), manner(detach, as_json)
        what = "and all its snapshots" if delete_snapshots else "and every file that is in no snapshot"
        if not yes and not agreed(how.console, f"Destroy instance {found.name} {what}?", default=False):
            raise Refused("Nothing was destroyed.")
        timeline = Timeline.from_now(session, found.id)
        answer = session.delete(f"/instances/{found.id}", delete_snapshots="true" if delete_snapshots else None)
        follow(session, timeline, answer, Goal(InstanceStatus.DESTROYED), how)
