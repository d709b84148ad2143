"""Answers about instances. Fields that no table has yet are null."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from api.instances.progress import progress_of
from api.schemas import Answer, Time, WireId
from db.instances.tables import Instance
from db.machines.agent_reports import status_of as report_status
from db.machines.tables import AgentReport, Lease
from domain.instances.idleness import still_idle
from domain.instances.instances import InstanceSpec
from domain.instances.phases import Desired, InstanceKind, InstanceStatus, SshWake
from domain.instances.wakes import WakeReport
from domain.machines.agents import latest
from domain.machines.machines import MachineSeen, Seen
from domain.market.offers import Offer
from domain.workflow_contracts import instance_workflow_id


class DirectAnswer(Answer):
    """The machine's own address, which changes with the machine."""

    host: str | None
    ssh_port: int | None
    ports: dict[str, int]


class InstanceAnswer(Answer):
    id: int
    instance_id: int
    status: InstanceStatus
    actual_status: str | None
    kind: InstanceKind
    stage: str | None
    progress: int | None
    message: str
    gpu_name: str | None
    num_gpus: int | None
    gpu_ram: float | None
    cpu_cores: float | None
    cpu_ram: float | None
    disk_space: float
    dph_total: float | None
    geolocation: str | None
    public_ipaddr: str | None = None
    ssh_host: str | None = None
    ssh_port: int | None = None
    ssh_command: str | None = None
    ports: dict[str, str] = {}
    direct: DirectAnswer | None
    provider_id: WireId | None
    machine_id: WireId | None
    label: str | None
    image: str
    persist: list[str] | None = None
    gpu_util: float | None = None
    idle_since: Time | None = None
    will_pause_at: Time | None = None
    will_hibernate_at: Time | None = None
    keep_awake_until: Time | None = None
    idle_pause_minutes: float | None = None
    idle_hibernate_minutes: float | None = None
    ssh_wake: SshWake = SshWake.AUTO
    ssh_host_key: str | None = None
    cpu_standby: dict[str, Any] | None = None
    warnings: list[str] = []
    last_wake: WakeReport | None = None
    workflow_id: str
    created_at: Time
    running_at: Time | None
    ended_at: Time | None


def instance_rows(*conditions: ColumnElement[bool]) -> Select[Instance, Lease, AgentReport]:
    """Each instance with its present lease and its agent's last report, newest first."""
    joined = select(Instance, Lease, AgentReport).outerjoin(Lease, Lease.id == Instance.lease_id)
    joined = joined.outerjoin(AgentReport, AgentReport.lease_id == Instance.lease_id)
    return joined.where(*conditions).order_by(Instance.id.desc())


_ASLEEP = (InstanceStatus.PAUSED, InstanceStatus.HIBERNATING, InstanceStatus.HIBERNATED, InstanceStatus.PAUSING)


def status_of(instance: Instance) -> InstanceStatus:
    """The status to show: a requested destruction shows at once."""
    if instance.status.is_over:
        return instance.status
    if instance.desired is Desired.DESTROYED:
        return InstanceStatus.DESTROYING
    if instance.desired is Desired.RUNNING:
        return InstanceStatus.RESUMING if instance.status in _ASLEEP else instance.status
    return InstanceStatus.PAUSING if instance.status is InstanceStatus.RUNNING else instance.status


def shown_instance(instance: Instance, lease: Lease | None, said: AgentReport | None = None) -> InstanceAnswer:
    status, spec = status_of(instance), InstanceSpec.model_validate(instance.spec)
    seen = MachineSeen.model_validate(lease.seen) if lease else MachineSeen()
    offer = Offer.model_validate(lease.offer) if lease else None
    progress = progress_of(status, lease.state if lease else None)
    idle = still_idle(instance.idle_since, instance.traffic_at, said.active_at if said else None)
    return InstanceAnswer(
        id=instance.id,
        instance_id=instance.id,
        status=status,
        actual_status=seen.actual_status,
        kind=instance.kind,
        stage=lease.state if lease and progress is not None else None,
        progress=progress,
        message=instance.message,
        gpu_name=lease.gpu_name if lease else spec.query.gpu_name,
        num_gpus=lease.num_gpus if lease else spec.query.num_gpus,
        gpu_ram=offer.gpu_ram if offer else None,
        cpu_cores=offer.cpu_cores if offer else None,
        cpu_ram=offer.cpu_ram if offer else None,
        disk_space=spec.disk_size,
        dph_total=lease.dph_total if lease else None,
        geolocation=offer.geolocation if offer else None,
        public_ipaddr=instance.ssh_host,
        ssh_host=instance.ssh_host,
        ssh_port=instance.ssh_port,
        ssh_command=None if instance.ssh_port is None else f"ssh -p {instance.ssh_port} root@{instance.ssh_host}",
        persist=instance.persist,
        idle_pause_minutes=instance.idle_pause_minutes,
        idle_hibernate_minutes=instance.idle_hibernate_minutes,
        ssh_wake=instance.ssh_wake,
        ssh_host_key=instance.ssh_host_key,
        warnings=instance.warnings,
        last_wake=None if instance.last_wake is None else WakeReport.model_validate(instance.last_wake),
        direct=_direct(seen),
        provider_id=lease.cloud_id if lease else None,
        machine_id=lease.host_id if lease else None,
        label=instance.label,
        image=spec.image,
        gpu_util=said.gpu_util if said else None,
        idle_since=instance.idle_since if idle else None,
        will_pause_at=instance.will_pause_at if idle and status is InstanceStatus.RUNNING else None,
        will_hibernate_at=instance.will_hibernate_at if status is InstanceStatus.PAUSED else None,
        keep_awake_until=_keep_awake_until(instance, said),
        workflow_id=instance_workflow_id(instance.id),
        created_at=instance.created_at,
        running_at=instance.running_at,
        ended_at=instance.ended_at,
    )


def _keep_awake_until(instance: Instance, said: AgentReport | None) -> datetime | None:
    """By the api, or by the file on the machine."""
    by_file = None if said is None else report_status(said).kept_awake_until(said.at)
    return latest(instance.keep_awake_until, by_file)


def _direct(seen: MachineSeen) -> DirectAnswer | None:
    if seen.state is not Seen.UP:
        return None
    port = seen.ports.get("22/tcp")
    host = seen.public_ipaddr if port else seen.ssh_host
    return DirectAnswer(host=host, ssh_port=port or seen.ssh_port, ports=seen.ports)
