"""The rclone program (it comes as a wheel): where snapshots are kept, whatever kind of store that is."""

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

ANSWER_SECONDS = 60.0
NO_SUCH_FOLDER = 3
"""rclone's exit code when the store answered and has no such folder."""


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

    One of ours is read without the program: to start it takes 50 ms of CPU, and a pause asks four times.
    """
    if is_folder(folder):
        return await asyncio.to_thread(_names_here, folder)
    code, out = await _run("lsf", "--max-depth", "1", folder, worth=(0, NO_SUCH_FOLDER))
    return None if code == NO_SUCH_FOLDER else out.decode(errors="replace").splitlines()


async def purge(folder: str) -> None:
    """Remove a folder with all that is in it; one that is not there is no failure."""
    await _run("purge", folder, worth=(0, NO_SUCH_FOLDER))


async def delete_file(path: str) -> None:
    """Remove one file; one that is not there is no failure."""
    await _run("deletefile", path, worth=(0, NO_SUCH_FOLDER, 4))


async def write(path: str, content: bytes) -> None:
    """A small file; it appears whole or not at all, whoever is killed meanwhile.

    So it comes from a file. What comes through a pipe ends where its writer ends, and `rclone rcat` to a folder begins
    with an empty file of the last name; `copyto` renames.
    """
    with tempfile.NamedTemporaryFile(prefix="dumont-") as file:
        file.write(content)
        file.flush()
        await _run("copyto", "--ignore-times", file.name, path, worth=(0,))


def _names_here(folder: str) -> list[str] | None:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RcloneFailed(f"{folder}: {error.strerror}") from error


async def _run(*arguments: str, worth: tuple[int, ...]) -> tuple[int, bytes]:
    quick = ("--retries", "1", "--contimeout", "10s", "--timeout", "30s")
    process = await asyncio.create_subprocess_exec(
        program(),
        *arguments,
        *quick,
        stdin=-3,
        stdout=-1,
        stderr=-1,
        env={**os.environ, "HOME": str(Path.home())},
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), ANSWER_SECONDS)
    except (TimeoutError, asyncio.CancelledError) as error:
        process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            raise RcloneFailed(f"no answer within {ANSWER_SECONDS:g} s") from error
        raise
    if process.returncode not in worth:
        raise RcloneFailed((err.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1][:300])
    return process.returncode or 0, out
