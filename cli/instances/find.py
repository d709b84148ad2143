"""An instance by the name that a person gives it: its id, or its label."""

from cli.api import Api, ApiRefused
from cli.errors import Refused
from cli.instances.schemas import InstanceView
from cli.places import command

PAGE = 200


def find(session: Api, name: str) -> InstanceView:
    """The instance with this id; else the one with this label, those that are not over before those that are.

    Raises:
        Refused: there is none, or there are several.
    """
    if name.isascii() and name.isdigit() and (found := by_id(session, name)):
        return found
    labelled = [each for each in every_instance(session) if each.label == name]
    alive = [each for each in labelled if not each.status.is_over]
    return only(name, alive or labelled)


def by_id(session: Api, name: str) -> InstanceView | None:
    try:
        return InstanceView.model_validate(session.get(f"/instances/{name}"))
    except ApiRefused as refused:
        if refused.status == 404:
            return None
        raise


def every_instance(session: Api) -> list[InstanceView]:
    """Every one there ever was, newest first."""
    return [
        InstanceView.model_validate(each) for each in session.pages("/instances", "instances", all="true", limit=PAGE)
    ]


def only(name: str, found: list[InstanceView]) -> InstanceView:
    """The one of these that was meant by the name."""
    if not found:
        raise Refused(f"You have no instance {name!r}. `{command()} instances --all` shows all with ids and labels.")
    if len(found) > 1:
        ids = ", ".join(str(each.id) for each in found)
        raise Refused(f"Several instances are called {name!r}: {ids}. Use the id.")
    return found[0]
