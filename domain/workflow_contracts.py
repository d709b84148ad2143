"""What one needs to name a workflow: ids, inputs, signals, progress. For api, gateway, activities and workflows."""

from datetime import datetime, timedelta

from pydantic import BaseModel

from domain.endpoints.phases import DeploymentStage, DeploymentStatus
from domain.holders import Holder
from domain.machines.machines import MachineSeen
from domain.machines.phases import LeaseState, Power

TASK_QUEUE = "dumont"


def machine_workflow_id(lease_id: str) -> str:
    return f"machine-{lease_id}"


def instance_workflow_id(instance_id: int) -> str:
    return f"instance-{instance_id}"


def endpoint_workflow_id(endpoint_id: str) -> str:
    return f"endpoint-{endpoint_id}"


def job_workflow_id(job_id: str) -> str:
    return f"job-{job_id}"


def snapshot_workflow_id(snapshot_id: str) -> str:
    return f"snapshot-{snapshot_id}"


def tidy_workflow_id(instance_id: int) -> str:
    return f"tidy-vault-{instance_id}"


def watch_workflow_id(account_id: int) -> str:
    return f"watch-account-{account_id}"


REAP_SCHEDULE_ID = "reap"
REAP_WORKFLOW_ID = "reap"
RECONCILE_WORKFLOW_ID = "reconcile"
EXPIRE_SCHEDULE_ID = "expire"
EXPIRE_WORKFLOW_ID = "expire"

MACHINE_WORKFLOW = "MachineWorkflow"
INSTANCE_WORKFLOW = "InstanceWorkflow"
ENDPOINT_WORKFLOW = "EndpointWorkflow"
RECONCILE_WORKFLOW = "ReconcileWorkflow"
WATCH_WORKFLOW = "WatchWorkflow"
JOB_WORKFLOW = "JobWorkflow"
SNAPSHOT_WORKFLOW = "SnapshotWorkflow"
TIDY_WORKFLOW = "TidyVaultWorkflow"
"""Workflow types by name, for those who start them without importing the workflows' room."""

SIGNAL_CHANGED = "changed"
"""To any of ours, with the reason in words: a row that you live by has changed, read it. May come twice, or late."""

SIGNAL_SEEN = "seen"
"""To a MachineWorkflow from the account's watch: the machine was seen in a new state."""

SIGNAL_SUSPECTED = "suspected"
"""To an EndpointWorkflow from a gateway: its model server refuses connections, or breaks them off. A hint to look."""

QUERY_PROGRESS = "progress"


class MachineState(BaseModel):
    """What a MachineWorkflow remembers, and takes along when it continues as new."""

    seen: MachineSeen = MachineSeen()
    moved_at: datetime | None = None
    """When something was last asked of the machine, or it was seen to change."""


class MachineInput(BaseModel):
    lease_id: str
    summary: str = ""
    """The machine and its price, for people who look at the flow."""
    boot_deadline: timedelta = timedelta(minutes=15)
    patience: timedelta = timedelta(seconds=60)
    stall: timedelta = timedelta(minutes=3)
    """A start of a stopped machine that shows no change for so long is given up."""
    state: MachineState = MachineState()


class LeaseView(BaseModel):
    """What a MachineWorkflow knows of its lease."""

    state: LeaseState
    wanted: bool
    account_id: int
    holder: Holder
    seen: MachineSeen
    keeps_files: bool = False
    power: Power = Power.RUNNING
    start_refused: bool = False
    has_agent: bool = False


class InstanceState(BaseModel):
    """What an InstanceWorkflow remembers, and takes along when it continues as new."""

    gave_up: str = ""
    """Why no offer could be reserved: it only remains to see everything released."""
    why_unsaved: str = ""
    """Why the last snapshot could not be taken."""
    served_lease: str | None = None
    """The lease whose MachineWorkflow was seen to run."""
    warned_since: datetime | None = None
    """The people at its terminals were told of the pause that follows from idleness since then."""


class InstanceInput(BaseModel):
    instance_id: int
    snapshot_budget: timedelta = timedelta(hours=1)
    """A pause waits no longer for its snapshot; then it is unprotected."""
    state: InstanceState = InstanceState()


class EndpointProgress(BaseModel):
    """Answer of an EndpointWorkflow's `progress` query, and all that it remembers beside its rows."""

    status: DeploymentStatus = DeploymentStatus.DEPLOYING
    stage: DeploymentStage = DeploymentStage.PROVISIONING
    message: str = ""
    phase_timings_ms: dict[str, int] = {}
    stage_began: datetime | None = None


class EndpointInput(BaseModel):
    """`model_deadline`: from a server's start to a loaded model. `progress`: of the run that this one continues."""

    endpoint_id: str
    model_deadline: timedelta = timedelta(minutes=30)
    progress: EndpointProgress = EndpointProgress()


class JobInput(BaseModel):
    """`queue_pause`: between two looks whether a queued job has its turn now, when nobody says so."""

    job_id: str
    queue_pause: timedelta = timedelta(seconds=15)


class WatchInput(BaseModel):
    account_id: int


class SnapshotInput(BaseModel):
    snapshot_id: str
    instance_id: int


class TidyInput(BaseModel):
    instance_id: int
