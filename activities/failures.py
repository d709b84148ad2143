"""Failures as people read them in the Temporal Web UI: the sentence, without the libraries' insides.

Temporal keeps about 4 KB of a pending activity's last failure and shows nothing of a longer one. A chain of causes is
longer than that as soon as an HTTP or database library is in it, and then nobody can see why a flow waits.
"""

import logging
from typing import Any

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

OUTAGES = (InterfaceError, OperationalError, PoolTimeout, RPCError, OSError)
"""Something of ours is away for a while: a line in the log says as much as the way down to the socket."""

log = logging.getLogger(__name__)


class ShortFailures(Interceptor):
    """Failures leave without their causes; what nobody foresaw is logged whole first."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Short(next)


class _Short(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except Exception as error:
            if not is_benign(error):
                unforeseen = None if isinstance(error, OUTAGES) else error
                log.warning("%s: %s", activity.info().activity_type, first_line(error), exc_info=unforeseen)
            raise error.with_traceback(None) from None


def is_benign(error: Exception) -> bool:
    return isinstance(error, ApplicationError) and error.category is ApplicationErrorCategory.BENIGN


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
