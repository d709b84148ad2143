"""The rclone program (it comes as a wheel): where snapshots are kept, whatever kind of store that is."""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

ANSWER_SECONDS = 60.0
ENDING_SECONDS = 1.0
NO_SUCH_FOLDER = 3
"""rclone's exit code when the store answered and has no such folder."""
_NO_SUCH_FILE = "No such file or directory"
"""How `ls` says so, in the C locale."""


class RcloneFailed(Exception):
    """The store does not answer, or refuses; the text says how, in rclone's words where it was asked."""


def program() -> str:
    """Beside our own Python, else on the PATH.

    Raises:
        RcloneFailed: it is not here.
    """
    own = Path(sys.prefix) / "bin" / "rclone"
    found = str(own) if own.exists() else shutil.which("rclone")
    if found is None:
        raise RcloneFailed("rclone is not installed")
    return found


def is_folder(store: str) -> bool:
    """Whether it is one of this computer, and not a remote such as `s3:bucket/path`."""
    return store.startswith(("/", "."))


async def names(folder: str) -> list[str] | None:
    """What is directly in a folder of the store (`/a/b` or `remote:a/b`); None: surely no such folder.

    One of this computer is listed by `ls`: rclone takes 50 ms of CPU to start, and a pause asks four times. By a
    program, since one that hangs on a dead mount can be left alone.
    """
    if is_folder(folder):
        code, out, complaint = await _run("ls", "-1A", "--", f"{folder}/")
        is_there = _NO_SUCH_FILE not in complaint
        if code != 0 and is_there:
            raise RcloneFailed(complaint)
    else:
        code, out = await _rclone("lsf", "--max-depth", "1", folder, worth=(0, NO_SUCH_FOLDER))
        is_there = code != NO_SUCH_FOLDER
    return out.decode(errors="replace").splitlines() if is_there else None


async def purge(folder: str) -> None:
    """Remove a folder with all that is in it; one that is not there is no failure."""
    await _rclone("purge", folder, worth=(0, NO_SUCH_FOLDER))


async def delete_file(path: str) -> None:
    """Remove one file; one that is not there is no failure."""
    await _rclone("deletefile", path, worth=(0, NO_SUCH_FOLDER, 4))


async def write(path: str, content: bytes) -> None:
    """A small file; it appears whole or not at all, whoever is killed meanwhile.

    So it comes from a file. What comes through a pipe ends where its writer ends, and `rclone rcat` to a folder begins
    with an empty file of the last name; `copyto` renames.
    """
    with tempfile.NamedTemporaryFile(prefix="dumont-") as file:
        file.write(content)
        file.flush()
        await _rclone("copyto", "--ignore-times", file.name, path, worth=(0,))


async def _rclone(*arguments: str, worth: tuple[int, ...]) -> tuple[int, bytes]:
    quick = ("--retries", "1", "--contimeout", "10s", "--timeout", "30s")
    code, out, complaint = await _run(program(), *arguments, *quick)
    if code not in worth:
        raise RcloneFailed(complaint)
    return code, out


async def _run(*words: str) -> tuple[int, bytes, str]:
    """Its exit code, what it printed, and its last complaint."""
    environment = {**os.environ, "HOME": str(Path.home()), "LC_ALL": "C"}
    process = await asyncio.create_subprocess_exec(*words, stdin=-3, stdout=-1, stderr=-1, env=environment)
    try:
        out, err = await asyncio.wait_for(process.communicate(), ANSWER_SECONDS)
    except (TimeoutError, asyncio.CancelledError) as error:
        process.kill()
        with contextlib.suppress(TimeoutError):  # what hangs on a dead mount does not even end
            await asyncio.wait_for(process.wait(), ENDING_SECONDS)
        if isinstance(error, TimeoutError):
            raise RcloneFailed(f"no answer within {ANSWER_SECONDS:g} s") from error
        raise
    complaint = (err.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1][:300]
    return process.returncode or 0, out, complaint
