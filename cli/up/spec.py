"""One process of the installation, as the supervisor needs to know it."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

Probe = Callable[[], Awaitable[bool]]


def no_environment() -> Mapping[str, str]:
    """For a process that takes everything from its command line."""
    return {}


@dataclass(frozen=True)
class Spec:
    """How to start it, when it may start, how to know that it is ready, and how to end it."""

    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    ready: Probe | None = None
    environment: Callable[[], Mapping[str, str]] = field(default=no_environment)
    prepare: Callable[[], None] | None = None
    launch: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    stop_seconds: float = 2.5
    umask: int = 0o077
    once: bool = False
