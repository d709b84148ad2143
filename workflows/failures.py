"""Why a step failed, out of Temporal's wrapping."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    RetryState,
    TimeoutError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.errors import Fault


def fault_of(error: BaseException) -> Fault | None:
    """The fault that an activity ended with; None for what no activity foresaw."""
    root = _root(error)
    if isinstance(root, asyncio.CancelledError) or is_cancelled_exception(root):
        return Fault.NOT_WANTED
    if isinstance(root, ApplicationError) and root.type in set(Fault):
        return Fault(root.type)
    return None


def is_late(error: ActivityError) -> bool:
    """Whether an activity was tried again until its deadline, or would have been beyond it."""
    return isinstance(error.cause, TimeoutError) or error.retry_state is RetryState.TIMEOUT


def final(fault: Fault, message: str) -> ApplicationError:
    """An end that the workflow itself has come to, in the form of those that activities come to."""
    return ApplicationError(message, type=fault.value, non_retryable=True)


def is_out_of_time(error: BaseException) -> bool:
    """Whether an activity was given up because no time was left for it, not because of what it said.

    The server says so in two ways: by a timeout, and, when the next attempt would have come too late, by the last
    attempt's own failure, which is then no more than what it was waiting for.
    """
    if not isinstance(error, ActivityError):
        return False
    return error.retry_state is RetryState.TIMEOUT or isinstance(error.cause, TimeoutError)


def reason_of(error: BaseException) -> str:
    """A sentence for the user: what the activity said, and after a deadline what it was waiting for."""
    root = _root(error)
    if isinstance(root, asyncio.CancelledError) or is_cancelled_exception(root):
        return "cancelled"
    if isinstance(root, TimeoutError) or is_out_of_time(error):
        last = root.cause if isinstance(root, TimeoutError) else root
        waiting_for = f": {last.message}" if isinstance(last, FailureError) else ""
        return f"it took longer than its deadline{waiting_for}"
    return root.message if isinstance(root, FailureError) else str(root)


def _root(error: BaseException) -> BaseException:
    """Out of Temporal's wrapping, but not into the causes that an activity kept for the log."""
    while isinstance(error, ActivityError) and error.cause is not None:
        error = error.cause
    return error
