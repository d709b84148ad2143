"""What instances of each kind do in their life. One table, read everywhere: nobody asks for the kind itself."""

from pydantic import BaseModel, ConfigDict

from domain.instances.phases import InstanceKind


class Lifecycle(BaseModel):
    """What instances of one kind do.

    `sleeps_when_idle`: paused, then hibernated by its idle windows. `keeps_files`: its files outlive its machines, so a
    machine is only given back when a verified snapshot holds them. `parks`: the flow it serves may have its machine
    stopped for a while, its disk kept. `replaced_when_lost`: a machine lost while in use is followed by another.
    `has_agent`: our agent watches its machine.
    """

    model_config = ConfigDict(frozen=True)

    sleeps_when_idle: bool = False
    keeps_files: bool = False
    hibernates: bool = False
    parks: bool = False
    has_ssh_address: bool = False
    has_agent: bool = False
    has_own_snapshots: bool = False
    serves_endpoint: bool = False
    may_be_pooled: bool = False
    replaced_when_lost: bool = False
    why_it_does_not_sleep: str = ""
    """Said to an owner who asks it to."""


LIFECYCLES: dict[InstanceKind, Lifecycle] = {
    InstanceKind.INTERACTIVE: Lifecycle(
        sleeps_when_idle=True,
        keeps_files=True,
        hibernates=True,
        has_ssh_address=True,
        has_agent=True,
        has_own_snapshots=True,
        may_be_pooled=True,
    ),
    InstanceKind.MODEL: Lifecycle(
        serves_endpoint=True,
        has_own_snapshots=True,
        replaced_when_lost=True,
        why_it_does_not_sleep="serves a model: it does not sleep and wake, and no files are brought back to it. Stop "
        "the model, or destroy the instance, when it is not needed.",
    ),
    InstanceKind.JOB: Lifecycle(
        parks=True,
        why_it_does_not_sleep="runs a job: it does not sleep and wake, and it has no snapshots. What the job leaves is "
        "collected as its artifacts; POST /api/jobs/{id}/cancel ends it.",
    ),
}


def kinds_that(trait: str) -> list[InstanceKind]:
    """The kinds whose lifecycle has this trait, by the name of its field: for queries."""
    return [kind for kind, lifecycle in LIFECYCLES.items() if getattr(lifecycle, trait)]
