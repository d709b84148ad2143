"""`dumont rename` and `dumont keep-awake`."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from cli.instances.find import find
from cli.instances.format import span
from cli.instances.schemas import InstanceView
from cli.where import Where, session_at


def rename(name: str, label: str, /, *, where: Where | None = None) -> None:
    """Give an instance another label. Its id, address and host key stay.

    Parameters
    ----------
    name
        Id or present label.
    label
        The new label.
    """
    with session_at(where) as session:
        found = find(session, name)
        now = InstanceView.model_validate(session.patch(f"/instances/{found.id}", {"label": label}))
    Console(stderr=True).print(f"Instance {found.id} is now called {now.label}.", highlight=False, markup=False)


def keep_awake(
    name: str, minutes: Annotated[float, Parameter(validator=Number(gte=0))], /, *, where: Where | None = None
) -> None:
    """Do not let an instance pause by itself for a while, however idle it looks.

    Parameters
    ----------
    name
        Id or label.
    minutes
        For how long, from now; 0 lets it sleep again.
    """
    with session_at(where) as session:
        found = find(session, name)
        answer = session.post(f"/instances/{found.id}/keep-awake", {"minutes": minutes})
    until, now = InstanceView.model_validate(answer).keep_awake_until, datetime.now(UTC)
    awake = until is not None and until > now
    told = f"is kept awake for {span((until - now).total_seconds())}" if until and awake else "pauses when it is idle"
    Console(stderr=True).print(f"Instance {found.name} {told}.", highlight=False, markup=False)
