"""Where things are: the program's own folder, and the data folder of an installation."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATA_DIR = Path(".dumont")


def bin_dir() -> Path:
    """The folder of this environment's commands (`temporal`, `dumont`)."""
    return Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin")


def data_dir(given: Path | None) -> Path:
    """The installation's folder: the one given, `$DUMONT_DATA_DIR`, or `.dumont` here."""
    return (given or Path(os.environ.get("DUMONT_DATA_DIR") or DEFAULT_DATA_DIR)).expanduser().resolve()
