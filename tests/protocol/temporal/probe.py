"""A workflow that tries, one after the other, all that ours rely on, and says what it met."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.errors import Fault, Final, NotYet
    from workflows.failures import fault_of, is_out_of_time, reason_of
    from workflows.options import CLOUD, RECORD, within

PATIENCE = timedelta(seconds=30)


@activity.defn
async def comes_third() -> str:
    if activity.info().attempt < 3:
        raise NotYet("not the third", 0.1)
    return f"attempt {activity.info().attempt}"


@activity.defn
async def never_comes() -> None:
    raise NotYet("it is being waited for", 60)  # later than anybody's patience: nobody waits for that


@activity.defn
async def is_refused() -> None:
    raise Final(Fault.OFFER_GONE, "somebody else has it")


@activity.defn
async def stumbles_once() -> int:
    if activity.info().attempt == 1:
        raise ValueError("nobody foresaw that")
    return activity.info().attempt


@activity.defn
async def beats() -> list[int]:
    """What the attempt before left in its heartbeat."""
    before = [int(each) for each in activity.info().heartbeat_details]
    if not before:
        activity.heartbeat(7)
        raise NotYet("once more", 0.1)
    return before


ACTIVITIES = [comes_third, never_comes, is_refused, stumbles_once, beats]


@workflow.defn(sandboxed=False)
class Probe:
    def __init__(self) -> None:
        self._heard: list[str] = []

    @workflow.signal
    def changed(self, because: str = "") -> None:
        self._heard.append(because)

    @workflow.run
    async def run(self, rounds: int) -> list[str]:
        said = [f"round {rounds}"]
        said.append(await workflow.execute_activity(comes_third, **CLOUD))
        said.append(str(await workflow.execute_activity(beats, **CLOUD)))
        said.append(str(await workflow.execute_local_activity(stumbles_once, **RECORD)))
        said += [await self._failure_of(is_refused), await self._failure_of(never_comes)]
        said.append(await self._cancelled())
        try:
            await workflow.wait_condition(lambda: False, timeout=0.2)
        except TimeoutError:
            said.append("the timer went off")
        both = workflow.start_local_activity(stumbles_once, **RECORD), workflow.start_activity(comes_third, **CLOUD)
        said.append(str(await asyncio.gather(*both)))
        await workflow.wait_condition(lambda: bool(self._heard))
        said += sorted(self._heard)
        if rounds:
            workflow.continue_as_new(rounds - 1)
        return said

    async def _failure_of(self, function: Callable[[], Awaitable[None]]) -> str:
        try:
            await workflow.execute_activity(function, **within(CLOUD, PATIENCE))
        except ActivityError as error:
            return f"{fault_of(error)}, {is_out_of_time(error)}: {reason_of(error)}"
        return "no failure"

    async def _cancelled(self) -> str:
        waiting = workflow.start_activity(never_comes, **CLOUD)
        await workflow.sleep(0.1)
        waiting.cancel()
        (came,) = await asyncio.gather(waiting, return_exceptions=True)
        return f"{type(came).__name__} {fault_of(came) if isinstance(came, BaseException) else came}"
