"""What a failed activity tells Temporal: the sentence, and never more than Temporal shows."""

from typing import Any
from unittest.mock import ANY

import pytest
import temporalio.api.failure.v1
from sqlalchemy import create_engine
from temporalio.converter import default
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor

from activities.errors import NotYet
from activities.failures import ShortFailures

SHOWN_BY_TEMPORAL = 4096


class Failing(ActivityInboundInterceptor):
    """The activity itself, as the interceptor sees it."""

    def __init__(self, fail: Any) -> None:
        self._fail = fail

    async def execute_activity(self, input: Any) -> Any:
        self._fail()


def deeply(levels: int) -> None:
    try:
        if levels:
            deeply(levels - 1)
        raise OSError("an inner trouble " * 10)
    except OSError as error:
        raise RuntimeError("a layer of a library " * 5) from error


def with_causes() -> None:
    try:
        deeply(30)
    except RuntimeError as error:
        raise NotYet("no readable answer from the cloud", 2.0) from error


def unforeseen() -> None:
    create_engine("postgresql+psycopg://nobody@127.0.0.1:9/nothing").connect()


@pytest.mark.parametrize(
    ("fail", "sentence"), [(with_causes, "no readable answer from the cloud"), (unforeseen, "connection")]
)
async def test_a_failure_is_short_enough_to_be_shown(fail: Any, sentence: str) -> None:
    activity = ShortFailures().intercept_activity(Failing(fail))
    with pytest.raises(Exception, match=sentence) as raised:
        await ActivityEnvironment().run(activity.execute_activity, ANY)
    converter, failure = default(), temporalio.api.failure.v1.Failure()
    converter.failure_converter.to_failure(raised.value, converter.payload_converter, failure)
    assert failure.ByteSize() < SHOWN_BY_TEMPORAL
    assert sentence in failure.message
    assert not failure.HasField("cause")
