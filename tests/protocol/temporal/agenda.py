"""What is due when. Time stands still while something is done, and jumps to whatever is due next."""

import heapq
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import count

from tests.protocol.clock import Clock

Action = Callable[[], Awaitable[None]]
STEPS_AT_MOST = 50_000


class Agenda:
    """In the order of time; of two that are due at once, the one that was noted first."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._due: list[tuple[datetime, int, Action]] = []
        self._numbers = count()

    def at(self, when: datetime, action: Action) -> None:
        heapq.heappush(self._due, (max(when, self.clock.at), next(self._numbers), action))

    def after(self, seconds: float, action: Action) -> None:
        self.at(self.clock.after(seconds), action)

    def soon(self, action: Action) -> None:
        self.at(self.clock.at, action)

    async def play(self, end: datetime) -> None:
        """Everything that is due until then."""
        for _ in range(STEPS_AT_MOST):
            if not self._due or self._due[0][0] > end:
                return self.clock.move_to(end)
            when, _, action = heapq.heappop(self._due)
            if when > self.clock.at:
                self.clock.move_to(when)
            await action()
        raise AssertionError("something is due again and again, and time stands still")
