"""What went wrong outside, said to Temporal: try again (and when), or never. One mapper per outside thing.

The whole taxonomy: `NotYet` (expected waiting), `Final` (retrying cannot help; its `type` is what workflows decide by),
and whatever else is raised (unexpected: retried with backoff).
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from enum import StrEnum
from types import TracebackType

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from clients.ssh import HostKeyChanged, SshKeyRefused, SshUnreachable
from clouds.errors import CapacityGone, KeyRefused, NotOurTurn, Refused, Throttled, Unavailable

log = logging.getLogger(__name__)

CLOUD_PAUSE = 2.0
"""Seconds before a cloud that gave no readable answer is asked again."""
KEY_PAUSE = 5.0
"""Seconds before a refused key is tried again: somebody may have mended it at the cloud."""


class Fault(StrEnum):
    """Why a step ended for good."""

    OFFER_GONE = "offer_gone"
    REFUSED = "refused"
    ANSWER_LOST = "answer_lost"
    BOOT_FAILED = "boot_failed"
    KEY_REFUSED = "key_refused"
    NO_OFFERS = "no_offers"
    SPENDING_CAP = "spending_cap"
    NOT_WANTED = "not_wanted"
    MACHINE_LOST = "machine_lost"
    MODEL_FAILED = "model_failed"
    START_REFUSED = "start_refused"
    SNAPSHOT_FAILED = "snapshot_failed"
    RESTORE_FAILED = "restore_failed"
    NOT_COLLECTED = "not_collected"


class NotYet(ApplicationError):
    """Not ready, or not our turn: nothing is wrong. Raised, so that the wait costs no slot and survives a crash."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(
            message,
            type="not_yet",
            next_retry_delay=timedelta(seconds=max(0.05, seconds)),
            category=ApplicationErrorCategory.BENIGN,
        )


class Final(ApplicationError):
    """Retrying cannot help. `message` is a sentence that a user may read."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message, type=fault.value, non_retryable=True, category=ApplicationErrorCategory.BENIGN)


class _Alone:
    """Keeps the first error for later, and logs those after it."""

    def __init__(self) -> None:
        self.first: Exception | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        if self.first is not None:
            log.warning("and beside the first error: %s", str(error)[:300] or type(error).__name__)
        self.first = self.first or error
        return True


@contextmanager
def each_alone() -> Iterator[AbstractContextManager[None]]:
    """For a loop over rows or machines: what goes wrong with one of them, in the context given here, stops no other.

    The first error is raised when all had their turn, so that the activity is tried again.
    """
    alone = _Alone()
    yield alone
    if alone.first is not None:
        raise alone.first


@contextmanager
def provider_errors(*, waits_for_key: bool = True) -> Iterator[None]:
    """A cloud's answers as Temporal should see them. Never carries a URL, a key or a body.

    `waits_for_key`: a machine is only ever released with a key of its account, so who may hold one waits until the key
    works again; for who holds none yet, a refused key is final.
    """
    try:
        yield
    except NotOurTurn as error:
        raise NotYet(str(error), error.wait) from error
    except Throttled as error:
        raise NotYet("the cloud asks us to slow down", error.retry_after or CLOUD_PAUSE) from error
    except Unavailable as error:
        raise NotYet(f"no readable answer from the cloud ({error})", CLOUD_PAUSE) from error
    except KeyRefused as error:
        if not waits_for_key:
            raise Final(Fault.KEY_REFUSED, "the cloud refuses the key") from error
        raise NotYet("the cloud refuses the key", KEY_PAUSE) from error
    except CapacityGone as error:
        raise Final(Fault.OFFER_GONE, "the offer was taken by someone else") from error
    except Refused as error:
        raise Final(Fault.REFUSED, f"the cloud refused: {error}") from error


@contextmanager
def ssh_errors(pause: float) -> Iterator[None]:
    """SSH trouble as Temporal should see it: a machine that does not answer yet is waited for (`pause` seconds)."""
    try:
        yield
    except HostKeyChanged as error:
        raise Final(Fault.BOOT_FAILED, "the machine shows another SSH host key than before") from error
    except (SshUnreachable, SshKeyRefused) as error:
        raise NotYet(f"the machine does not let us in over SSH ({type(error).__name__})", pause) from error
