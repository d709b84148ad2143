"""Where things are: the program's own folder, and the data folder of an installation."""

import os
import shlex
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATA_DIR = Path(".dumont")


def bin_dir() -> Path:
    """The folder of this environment's commands (`temporal`, `dumont`)."""
    return Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin")


def command() -> str:
    """What to type in the present folder to run `dumont`."""
    own = bin_dir() / "dumont"
    on_path = shutil.which("dumont")
    if on_path is not None and Path(on_path).resolve() == own.resolve():
        return "dumont"
    here = Path.cwd()
    return shlex.quote(str(own.relative_to(here) if own.is_relative_to(here) else own))


def data_dir(given: Path | None) -> Path:
    """The installation's folder: the one given, `$DUMONT_DATA_DIR`, or `.dumont` here."""
    return (given or Path(os.environ.get("DUMONT_DATA_DIR") or DEFAULT_DATA_DIR)).expanduser().resolve()
