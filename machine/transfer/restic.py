"""Runs restic: reads its output, turns its failures into sentences, and notices when it hangs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from machine.transfer.places import CACHE, FOLDER
from machine.transfer.progress import Halt, Progress

REFUSALS = {
    "401": ("refused", "the vault does not let this machine in (any more)"),
    "403": ("refused", "the vault refuses this machine"),
    "507": ("vault_full", "the vault has no room left"),
}
_ANSWER = re.compile(r"\b(401|403|507)\b")
_RETRY = re.compile(r"retrying after", re.IGNORECASE)
_LOCKED = re.compile(r"already locked|unable to create lock", re.IGNORECASE)
_AWAY = re.compile(r"dial tcp|connection re(?:fused|set)|broken pipe|\bEOF\b|timeout|50[234]\b", re.IGNORECASE)
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
KEPT_LINES = 40
AGAIN = 1.0


class Away(Exception):
    """The vault does not answer just now, or its own side holds the repository: the same again, a little later."""


class Restic:
    def __init__(self, order: dict[str, Any], progress: Progress) -> None:
        self._program = order["restic"]
        self._progress = progress
        self._secrets = [each for each in (order["password"], order["token"]) if each]
        self._environment = {
            **os.environ,
            "RESTIC_REPOSITORY": order["repository"].replace("://", f"://machine:{order['token']}@", 1),
            "RESTIC_PASSWORD": order["password"],
            "RESTIC_CACHE_DIR": CACHE,
            "RESTIC_PROGRESS_FPS": "2",
            "HOME": os.environ.get("HOME", "/root"),
        }

    def run(self, arguments: list[str], on_line: Callable[[bytes], None], *, worth: Iterable[int] = (0,)) -> list[str]:
        """Run it; `worth` are the exit codes that are no failure. Returns the last lines of what it complained of.

        Raises:
            Halt, Away.
        """
        process = subprocess.Popen(  # noqa: S603 - our own words
            [self._program, *arguments],
            env=self._environment,
            cwd=FOLDER,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_die_with_parent,
        )
        said: deque[str] = deque(maxlen=KEPT_LINES)
        reader = threading.Thread(target=self._read_complaints, args=(process, said), daemon=True)
        reader.start()
        with self._progress.minding(lambda: _moved(process.pid), lambda: _end(process)):
            if process.stdout is not None:
                for line in process.stdout:
                    on_line(line)
            code = process.wait()
            reader.join()
        self._progress.check()
        if code not in worth:
            self._fail(said, code)
        return list(said)

    def _read_complaints(self, process: subprocess.Popen[bytes], said: deque[str]) -> None:
        for raw in process.stderr or ():
            line = self._masked(raw.decode(errors="replace").strip())
            said.append(line)
            print(line, flush=True)  # to the job's log
            if not _RETRY.search(line):
                continue
            answer = _ANSWER.search(line.partition(":")[2])
            if answer:
                self._progress.halt(*REFUSALS[answer.group(1)])
            else:
                self._progress.trouble(line[:200])

    def _masked(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line

    def _fail(self, said: deque[str], code: int) -> None:
        text = "\n".join(said)
        if _NO_SPACE.search(text):
            raise Halt("no_space", "the machine's disk is full")
        answer = _ANSWER.search(text)
        if answer:
            raise Halt(*REFUSALS[answer.group(1)])
        reason = next((line for line in said if "Fatal" in line), said[-1] if said else f"exit code {code}")[:300]
        if _LOCKED.search(text) or _AWAY.search(text):
            raise Away(reason)
        raise Halt("broken", f"restic: {reason}")


def patiently(attempt: Callable[[], Any], progress: Progress) -> Any:
    """Until the vault answers. That it does not moves nothing, so the deadline goes on running."""
    while True:
        try:
            return attempt()
        except Away as away:
            progress.trouble(str(away))
            time.sleep(AGAIN)
            progress.check()


def _moved(pid: int) -> int | None:
    """Bytes that the process has read and written, sockets included."""
    try:
        with open(f"/proc/{pid}/io") as file:
            counts = dict(line.split(": ") for line in file)
        return int(counts["rchar"]) + int(counts["wchar"])
    except (OSError, ValueError, KeyError):
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does, so that it takes its lock away; without mercy when that takes long."""
    process.send_signal(signal.SIGINT)
    killing = threading.Timer(5.0, process.kill)
    killing.daemon = True
    killing.start()


def _die_with_parent() -> None:
    """End restic when this program dies."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
