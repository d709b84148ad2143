"""The stand-in for the S3 bucket that hosts upload logs and command output to: 404 until the upload is done."""

import secrets
import time
from dataclasses import dataclass, field

KEPT = 1000


@dataclass(slots=True)
class Uploads:
    _objects: dict[str, tuple[float, str]] = field(default_factory=dict)
    """name → (when it is there, text)"""

    def promise(self, text: str, after: float) -> str:
        """Name an object that is there ``after`` seconds from now (infinite: its host is out of reach)."""
        name = f"{secrets.token_hex(16)}.log"
        self._objects[name] = (time.monotonic() + after, text)
        while len(self._objects) > KEPT:
            self._objects.pop(next(iter(self._objects)))
        return name

    def read(self, name: str) -> str | None:
        ready, text = self._objects.get(name, (float("inf"), ""))
        return text if time.monotonic() >= ready else None
