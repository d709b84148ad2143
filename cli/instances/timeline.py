"""An instance's timeline, read as it grows."""

from datetime import datetime

from rich.text import Text

from cli.api import Api
from cli.instances.schemas import TimelineEvent
from domain.machines.phases import LeaseOutcome

PAGE = 100
_L = LeaseOutcome
FAILURES = frozenset({_L.OFFER_GONE, _L.REFUSED, _L.ANSWER_LOST, _L.BOOT_FAILED, _L.LOST, "start_refused", "failed"})
"""How an attempt at a machine ends badly; every one of them has its offer and its reason in the text."""


class Timeline:
    """What happened to one instance after a given moment."""

    def __init__(self, session: Api, instance_id: int, after: int = 0) -> None:
        self._session = session
        self.instance_id = instance_id
        self._path = f"/instances/{instance_id}/events"
        self._last = after
        self.events: list[TimelineEvent] = []

    @classmethod
    def from_now(cls, session: Api, instance_id: int) -> "Timeline":
        """One that begins after what is there already."""
        newest = session.get(f"/instances/{instance_id}/events", limit=1)["events"]
        return cls(session, instance_id, newest[0]["id"] if newest else 0)

    def news(self) -> list[TimelineEvent]:
        """What was added since the last call, oldest first."""
        found: list[TimelineEvent] = []
        for each in self._session.pages(self._path, "events", limit=PAGE):
            event = TimelineEvent.model_validate(each)
            if event.id <= self._last:
                break
            found.append(event)
        found.reverse()
        self._last = found[-1].id if found else self._last
        self.events += found
        return found

    def has(self, kind: str) -> bool:
        """Whether something of this kind was among what was read so far."""
        return any(event.kind == kind for event in self.events)


def event_line(event: TimelineEvent, moment: str) -> Text:
    """One line: when, what kind, the sentence."""
    style = "red" if event.kind in FAILURES else "yellow" if event.kind == "warning" else ""
    return Text.assemble((f"{moment:>9}  ", "cyan"), (f"{event.kind:<12} ", style or "bold"), (event.text, style))


def since(event: TimelineEvent, began: datetime) -> str:
    """Seconds from a moment of the api's clock until the event."""
    return f"+{max(0.0, (event.at - began).total_seconds()):.1f} s"
