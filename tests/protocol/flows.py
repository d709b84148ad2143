"""A flow as a small machine: which activity it runs next, and what follows from the answer.

What stands here for Temporal: attempts are repeated when they say `NotYet`, when they fail for reasons that nobody
foresaw, and when they are not heard of any more; whoever was given up may still wake up, and nobody hears its answer.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from activities.errors import Final, NotYet
from tests.protocol.attempts import Activity, Attempt, Killed

if TYPE_CHECKING:
    from tests.protocol.world import World

MISSED_AFTER = 6.0
BACKOFF = 2.0


class Flow:
    """`due`: when it does its next step; None while it waits for a signal, or when it is over."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.due: datetime | None = world.clock.at
        self.is_over = False
        self._number = 1
        self._current: Attempt | None = None
        self._signalled = False

    async def step(self) -> None:
        if self._current is not None:  # not heard of any more: given up, and tried again
            self._current = None
            self._number += 1
        call = await self.next_call()
        if call is None:
            return
        attempt = Attempt(*call, self._number, self.world.clock.at)
        self._current, self.due = attempt, None
        await attempt.go_on()
        await self.hear(attempt)

    async def hear(self, attempt: Attempt) -> None:
        """An attempt has ended or hangs, just now or long after it was given up."""
        if attempt.is_hanging:
            self.world.hanging.append((self, attempt))
            if attempt is self._current:
                self.wait(MISSED_AFTER)
            return
        try:
            result = attempt.result()
        except Killed:
            self._again(attempt, MISSED_AFTER)
        except NotYet as error:
            self._again(attempt, error.next_retry_delay.total_seconds() if error.next_retry_delay else BACKOFF)
        except Final as error:
            if self._forget(attempt):
                await self.refused(error)
        except Exception as error:  # noqa: BLE001 - as Temporal does; the verdict looks at what came up
            self.world.unforeseen.append(error)
            self._again(attempt, BACKOFF)
        else:
            if self._forget(attempt):
                await self.done(result)

    def _forget(self, attempt: Attempt) -> bool:
        if attempt is not self._current:
            return False
        self._current, self._number = None, 1
        return True

    def _again(self, attempt: Attempt, seconds: float) -> None:
        if attempt is self._current:
            self._current = None
            self._number += 1
            self.wait(seconds)

    def wait(self, seconds: float) -> None:
        self.due = self.world.clock.after(seconds)

    def signal(self) -> None:
        """Something changed: take the next step now, or right after the one that is under way."""
        self._signalled = True
        if self._current is None and not self.is_over:
            self.rest(self.due)

    def rest(self, until: datetime | None) -> None:
        """Wait for a signal (one that came already counts) or for the time."""
        self.due, self._signalled = (self.world.clock.at if self._signalled else until), False

    def end(self) -> None:
        self.is_over, self.due = True, None

    async def next_call(self) -> tuple[Activity, Any] | None:
        """The activity to run now and its argument; None: nothing, `due` says when to ask again."""
        raise NotImplementedError

    async def done(self, result: Any) -> None:
        raise NotImplementedError

    async def refused(self, error: Final) -> None:
        """The flow fails; if its rows still demand it, the reconciler starts it again."""
        self.end()
