"""Which paths of a job's machine become artifacts, and under which names."""

from pathlib import PurePosixPath

WORKSPACE = "/workspace"
OWN_NAMES = frozenset({"stdout.log", "stderr.log"})
"""Always among a job's artifacts; a user's file of the same name gets another."""

_NOT_TO_BE_READ = ("/proc", "/sys", "/dev", "/root/.ssh", "/root/.dumont")


class BadPath(ValueError):
    """Not a path that may be collected; the sentence says why."""


def output_path(text: str) -> str:
    """The absolute path that a user means; a relative one is in `/workspace`.

    Raises:
        BadPath
    """
    if not text.strip() or any(ord(character) < 32 for character in text):
        raise BadPath("a path such as /workspace/output")
    path = PurePosixPath(WORKSPACE) / text.strip()
    if ".." in path.parts:
        raise BadPath("a path must not contain `..`")
    if str(path) == "/" or _lies_in(str(path), _NOT_TO_BE_READ):
        raise BadPath(f"{path} is not collected; write results into {WORKSPACE}/output")
    return str(path)


def artifact_name(machine_path: str) -> str:
    """How a collected file is called: by its path in `/workspace`, any other by its whole path less the first `/`."""
    path = PurePosixPath("/") / machine_path
    if ".." in path.parts:
        raise BadPath(f"{machine_path} leads out of its folder")
    if not path.is_relative_to(WORKSPACE):
        return str(path.relative_to("/"))
    name = str(path.relative_to(WORKSPACE))
    return f"workspace/{name}" if name in OWN_NAMES else name


def _lies_in(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
