"""Why a step failed, out of Temporal's wrapping."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, TimeoutError, is_cancelled_exception

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


def sentence_of(error: BaseException) -> str:
    """A sentence for the user: the innermost reason."""
    root = _root(error)
    if isinstance(root, asyncio.CancelledError) or is_cancelled_exception(root):
        return "cancelled"
    if isinstance(root, TimeoutError):
        return "it took longer than its deadline"
    return root.message if isinstance(root, FailureError) else str(root)


def _root(error: BaseException) -> BaseException:
    while isinstance(error, FailureError) and error.cause is not None:
        error = error.cause
    return error
