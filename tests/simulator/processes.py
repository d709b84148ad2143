"""What is left of machines on this computer."""

import os
from pathlib import Path


def processes_in(folder: Path) -> list[str]:
    """Every process on this computer that has to do with the machines of a data folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = os.readlink(process / "cwd")
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environ = (process / "environ").read_bytes()
        except OSError:
            continue
        if here.startswith(f"{folder}/") or f"TEST_FOLDER={folder}".encode() in environ:
            found.append(f"{process.name} {words}")
    return found
