"""The agent as it is shipped: every file of the `agent` room in one archive, and the script that puts it in place."""

import base64
import functools
import io
import json
import tarfile
import zipfile
from importlib import resources

from pydantic import BaseModel

from clouds.provider import InMachine
from domain.machines.agents import GPU_ACTIVE

_SAME_DATE = (2026, 1, 1, 0, 0, 0)
"""In the archive, so that the same program is the same bytes and a second installation changes nothing."""
_ENTRY = b"import machine.agent.__main__\n"


class AgentSettings(BaseModel):
    """What an agent is told (machine/agent/settings.py). Times in seconds. `token` is a secret of its machine."""

    base_url: str
    token: str
    instance_id: int
    gpu_active: float = GPU_ACTIVE
    interval: float
    cloud_url: str
    dead_man: float
    dead_man_idle: float
    dead_man_busy: float
    platform: InMachine = InMachine()


def installing(settings: AgentSettings) -> tuple[str, str]:
    """The command that installs and starts the agent, and what it reads from stdin."""
    script = _text("install.sh")
    files = {
        "settings.json": (json.dumps(settings.model_dump()).encode(), 0o600),
        "agent.pyz": (program(), 0o600),
        "watch": (_text("watch.sh").encode(), 0o700),
        "start": (_text("start.sh").encode(), 0o700),
    }
    return script, base64.b64encode(_tar(files)).decode()


@functools.cache
def program() -> bytes:
    """The agent as one file that any Python 3.8 runs."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("machine/__init__.py", _SAME_DATE), b"")
        archive.writestr(zipfile.ZipInfo("__main__.py", _SAME_DATE), _ENTRY, zipfile.ZIP_DEFLATED)
        for file in sorted(resources.files("machine.agent").iterdir(), key=lambda each: each.name):
            if file.name.endswith(".py"):
                name = zipfile.ZipInfo(f"machine/agent/{file.name}", _SAME_DATE)
                archive.writestr(name, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _text(name: str) -> str:
    return (resources.files("machine.agent") / name).read_text()


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
