"""What comes next for an endpoint: one pure decision over what its rows say, taken again after every change.

An endpoint has a server on a machine. The machine is its instance's business, which gets another one when it is lost;
the server is the endpoint's own: it is started, waited for, watched, and started again, a few times in a row.
"""

from enum import StrEnum

from pydantic import BaseModel

from domain.endpoints.phases import DeploymentStage, DeploymentStatus, EndpointState
from domain.instances.phases import InstanceStatus

LONGEST_PAUSE = 120.0


class EndpointFacts(BaseModel):
    """Everything that the next step of an endpoint depends on, and what people are told of it."""

    state: EndpointState
    wanted: bool = True
    """By its owner; an endpoint that is given up by us is still wanted."""
    was_ready: bool = False
    """Whether its server has served before: one that never did is not started again."""
    instance_id: int = 0
    instance_status: InstanceStatus = InstanceStatus.PROVISIONING
    instance_wanted: bool = True
    instance_message: str = ""
    machine: str | None = None
    """The lease of the machine that runs for it now."""
    server_on: str | None = None
    """The lease of the machine on which its server was started last."""
    failures: int = 0
    """In a row: how often its server stopped serving without having served for a while."""
    failures_allowed: int = 5
    restart_in: float = 0.0
    """Seconds until the server may be started again."""
    trouble: str = ""
    """What was last wrong with its server, in words."""
    status: DeploymentStatus = DeploymentStatus.DEPLOYING
    stage: DeploymentStage = DeploymentStage.PROVISIONING
    message: str = ""
    phase_timings_ms: dict[str, int] = {}
    summary: str = ""


class EndpointStep(StrEnum):
    AWAIT_MACHINE = "await_machine"
    LEAVE_MACHINE = "leave_machine"
    START_SERVER = "start_server"
    AWAIT_MODEL = "await_model"
    WATCH = "watch"
    WAIT_TO_RESTART = "wait_to_restart"
    GIVE_UP = "give_up"
    RELEASE = "release"
    CLOSE = "close"
    NOTHING = "nothing"


def next_endpoint_step(facts: EndpointFacts) -> EndpointStep:
    if facts.state is EndpointState.CLOSED:
        return EndpointStep.NOTHING
    if facts.state is EndpointState.CLOSING:
        return EndpointStep.CLOSE if facts.instance_status.is_over else EndpointStep.RELEASE
    if _has_lost_its_instance(facts) or not facts.wanted or _is_hopeless(facts):
        return EndpointStep.GIVE_UP
    if facts.state is EndpointState.STARTING:
        return EndpointStep.AWAIT_MACHINE if facts.machine is None else EndpointStep.START_SERVER
    if facts.machine is None or facts.machine != facts.server_on:
        return EndpointStep.LEAVE_MACHINE
    return _on_its_machine(facts)


def _on_its_machine(facts: EndpointFacts) -> EndpointStep:
    if facts.state is EndpointState.LOADING:
        return EndpointStep.AWAIT_MODEL
    if facts.state is EndpointState.READY:
        return EndpointStep.WATCH
    return EndpointStep.START_SERVER if facts.restart_in <= 0 else EndpointStep.WAIT_TO_RESTART


def _has_lost_its_instance(facts: EndpointFacts) -> bool:
    return facts.instance_status.is_over or not facts.instance_wanted


def _is_hopeless(facts: EndpointFacts) -> bool:
    if facts.state is not EndpointState.DOWN:
        return False
    return not facts.was_ready or facts.failures > facts.failures_allowed


def reason_to_give_up(facts: EndpointFacts) -> str:
    """A sentence for the owner, where the step is to give up."""
    if not facts.wanted:
        return "Stopped by its owner."
    if facts.instance_status is InstanceStatus.FAILED:
        return facts.instance_message or "Its instance failed."
    if _has_lost_its_instance(facts):
        return "Its instance was destroyed."
    if not facts.was_ready:
        return facts.trouble
    return f"The model server failed {facts.failures} times in a row and is given up. The last time: {facts.trouble}"


def ends_as_stopped(facts: EndpointFacts) -> bool:
    """Whether giving up is what somebody wanted, rather than a failure."""
    return not facts.wanted or (_has_lost_its_instance(facts) and facts.instance_status is not InstanceStatus.FAILED)


def restart_pause(failures: int, first: float) -> float:
    """Seconds between a failure and the next start: none after the first one, then twice as long each time."""
    return 0.0 if failures <= 1 else min(LONGEST_PAUSE, first * 2.0 ** min(failures - 2, 16))
