"""How an answer of a cloud goes wrong, in nobody's dialect, and what a provider has to make of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from clouds.errors import (
    CapacityGone,
    KeyRefused,
    NotSent,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
)
from clouds.provider import Cloud, Provider, Verb
from domain.machines.labels import Label

KEY, OTHER_KEY = "key-of-account-1", "another-key-of-account-1"


class Trouble(StrEnum):
    KEY_REFUSED = "key_refused"
    THROTTLED = "throttled"
    UNREADABLE = "unreadable"
    NOT_SENT = "not_sent"
    LOST_BEFORE = "lost_before"
    LOST_AFTER = "lost_after"
    REFUSED = "refused"
    CAPACITY_GONE = "capacity_gone"
    HALF_MADE = "half_made"
    NO_ID = "no_id"
    ODD_ROW = "odd_row"
    """Of the newest machine's row, nothing but its id and its label can be read."""
    ROW_WITHOUT_ID = "row_without_id"
    """Of the newest machine's row, not even its id can be read."""
    BARE_ROW = "bare_row"
    """Of the newest machine's row, nothing can be read at all."""


MEANS: dict[Trouble, type[ProviderError]] = {
    Trouble.KEY_REFUSED: KeyRefused,
    Trouble.THROTTLED: Throttled,
    Trouble.UNREADABLE: Unavailable,
    Trouble.NOT_SENT: NotSent,
    Trouble.LOST_BEFORE: Unavailable,
    Trouble.LOST_AFTER: Unavailable,
    Trouble.REFUSED: Refused,
    Trouble.CAPACITY_GONE: CapacityGone,
    Trouble.HALF_MADE: Refused,
}
ANY_REQUEST = [
    *(Trouble.KEY_REFUSED, Trouble.THROTTLED, Trouble.UNREADABLE),
    *(Trouble.NOT_SENT, Trouble.LOST_BEFORE, Trouble.LOST_AFTER),
]


class Service(Protocol):
    """A cloud as a test holds it: what is really there, and what goes wrong next."""

    cloud: Cloud
    offer_ids: list[str]

    def spoil(self, verb: Verb, trouble: Trouble, times: int = 1) -> None:
        """The next requests of this verb go wrong."""

    def there(self) -> Mapping[str, Label | None]:
        """The machines that are really there, with the label that each carries."""

    def rent_by_hand(self, label: Label | None) -> str:
        """Somebody else rents a machine."""

    def boot(self) -> None:
        """Time passes: every machine runs."""

    def lose(self, cloud_id: str) -> None:
        """A machine is gone at its host."""


def opened(service: Service, key: str = KEY) -> Provider:
    return service.cloud.open(service.cloud.url, key)
