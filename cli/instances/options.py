"""The options of a new instance, and the body of the request for it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from cli.errors import Refused
from cli.instances.own_keys import public_key_of


@Parameter(name="*")
@dataclass(frozen=True)
class InstanceOptions:
    """What is left out, the api chooses."""

    gpu: str | None = None
    """The GPU to rent, such as "RTX 4090" [default: the cheapest]."""

    gpus: int = 1
    """How many of them."""

    image: str | None = None
    """The container image [default: PyTorch with CUDA]."""

    disk: float | None = None
    """GB [default: 20]."""

    max_price: float | None = None
    """The most to pay, in USD per hour [default: your default_max_price]."""

    label: str | None = None
    """A name to call it by."""

    port: Annotated[tuple[int, ...], Parameter(negative="", show_default=False)] = ()
    """A port of the machine to publish, such as 8080. May be given more than once."""

    env: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = ()
    """K=V, or K alone for the value that it has here. May be given more than once."""

    persist: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = ()
    """A path that outlives the machine [default: /workspace and /root]. May be given more than once."""

    idle_pause: float | None = None
    """Idle for so many minutes: paused [default: your setting, else 3]."""

    idle_hibernate: float | None = None
    """Paused for so many minutes: hibernated [default: your setting, else 30]."""

    ssh_key: Annotated[tuple[Path, ...], Parameter(negative="", show_default=False)] = ()
    """A public key for this instance alone, such as ~/.ssh/work.pub. May be given more than once."""

    def body(self) -> dict[str, Any]:
        """The body of the request, without what was left out."""
        wanted = {
            "gpu_type": self.gpu,
            "num_gpus": self.gpus,
            "image": self.image,
            "disk_size": self.disk,
            "max_price": self.max_price,
            "label": self.label,
            "ports": list(self.port) or None,
            "env": dict(map(entry, self.env)) or None,
            "persist": list(self.persist) or None,
            "idle_pause_minutes": self.idle_pause,
            "idle_hibernate_minutes": self.idle_hibernate,
            "ssh_public_keys": [public_key_of(path) for path in self.ssh_key] or None,
        }
        return {name: value for name, value in wanted.items() if value is not None}


def entry(text: str) -> tuple[str, str]:
    """`K=V`; `K` takes the value from here, so that a secret need not be typed."""
    name, given, value = text.partition("=")
    if given:
        return name, value
    if name not in os.environ:
        raise Refused(f"--env {name}: there is no such variable here. Say --env {name}=VALUE, or export it first.")
    return name, os.environ[name]
