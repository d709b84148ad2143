"""The messages between a worker and the SDK's workflow instances."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.activity_result import ActivityResolution, Cancellation, Success
from temporalio.bridge.proto.activity_result import Failure as Failed
from temporalio.bridge.proto.workflow_activation import (
    CancelWorkflow,
    FireTimer,
    InitializeWorkflow,
    RemoveFromCache,
    ResolveActivity,
    SignalWorkflow,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DefaultFailureConverter

CONVERTER = pydantic_data_converter.payload_converter
Job = WorkflowActivationJob


def payloads(values: Sequence[Any]) -> list[Payload]:
    return CONVERTER.to_payloads(values)


def values(given: Sequence[Payload], types: list[type] | None) -> list[Any]:
    return CONVERTER.from_payloads(given, types)


def seconds(duration: Duration) -> float:
    return duration.ToTimedelta().total_seconds()


def activation(run_id: str, now: datetime, jobs: Sequence[Job], *, length: int) -> WorkflowActivation:
    made = WorkflowActivation(run_id=run_id, history_length=length, jobs=jobs)
    made.timestamp.FromDatetime(now.astimezone(UTC).replace(tzinfo=None))
    return made


def initialize(workflow_type: str, workflow_id: str, run_id: str, given: Sequence[Payload], seed: int) -> Job:
    begin = InitializeWorkflow(
        workflow_type=workflow_type,
        workflow_id=workflow_id,
        arguments=given,
        randomness_seed=seed,
        first_execution_run_id=run_id,
        attempt=1,
    )
    begin.workflow_task_timeout.FromTimedelta(timedelta(seconds=10))
    return Job(initialize_workflow=begin)


def signal(name: str, given: Sequence[Payload]) -> Job:
    return Job(signal_workflow=SignalWorkflow(signal_name=name, input=given, originating_event_id=1))


def fire_timer(seq: int) -> Job:
    return Job(fire_timer=FireTimer(seq=seq))


def cancel_workflow(reason: str) -> Job:
    return Job(cancel_workflow=CancelWorkflow(reason=reason))


def remove_from_cache() -> Job:
    return Job(remove_from_cache=RemoveFromCache(message="the worker is gone"))


def resolve(seq: int, result: ActivityResolution, *, local: bool) -> Job:
    return Job(resolve_activity=ResolveActivity(seq=seq, result=result, is_local=local))


def completed(result: Any) -> ActivityResolution:
    return ActivityResolution(completed=Success(result=payloads([result])[0]))


def failed(activity_type: str, cause: Failure, *, out_of_time: bool = False) -> ActivityResolution:
    failure = _of_activity(activity_type, cause)
    if out_of_time:
        failure.activity_failure_info.retry_state = RetryState.RETRY_STATE_TIMEOUT
    return ActivityResolution(failed=Failed(failure=failure))


def cancelled(activity_type: str) -> ActivityResolution:
    cause = Failure(message="Activity cancelled")
    cause.canceled_failure_info.SetInParent()
    return ActivityResolution(cancelled=Cancellation(failure=_of_activity(activity_type, cause)))


def timeout(last: Failure | None) -> Failure:
    """Its time is over while it is under way; the cause is what the attempt before said."""
    failure = Failure(message="activity ScheduleToClose timeout", cause=last)
    failure.timeout_failure_info.timeout_type = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
    return failure


def as_failure(error: BaseException) -> Failure:
    failure = Failure()
    DefaultFailureConverter().to_failure(error, CONVERTER, failure)
    return failure


def _of_activity(activity_type: str, cause: Failure) -> Failure:
    failure = Failure(message="Activity task failed", cause=cause)
    failure.activity_failure_info.activity_type.name = activity_type
    failure.activity_failure_info.retry_state = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
    return failure
