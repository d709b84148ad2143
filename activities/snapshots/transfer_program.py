"""The program that transfers files on a machine (`machine/transfer/`), as the one file that is put there."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib import resources

_LONG_AGO = (2020, 1, 1, 0, 0, 0)
"""The same sources make the same file, byte for byte, whenever it is made."""


@dataclass(frozen=True)
class Program:
    content: bytes
    name: str
    """Says which version it is, so that a newer one is put beside an older one that still runs."""


@cache
def program() -> Program:
    """The room as a zip archive that Python runs."""
    packed = io.BytesIO()
    room = resources.files("machine.transfer")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(room.iterdir(), key=lambda each: each.name):
            if each.name.endswith(".py"):
                _add(archive, f"machine/transfer/{each.name}", each.read_bytes())
        _add(archive, "machine/__init__.py", b"")
        _add(archive, "__main__.py", (room / "__main__.py").read_bytes())
    content = packed.getvalue()
    return Program(content, f"transfer-{hashlib.sha256(content).hexdigest()[:12]}.pyz")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
