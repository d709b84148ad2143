"""What a job's machine is given: a small runner in POSIX sh and the job's own files, as one tar over stdin.

The runner (`job_runner.sh`) claims its folder with one `mkdir`, so that it runs at most once however often it is
started, and goes on by itself: it holds to the time limit, copies what is printed into two files, and writes down how
the script ended. We only ever read what it wrote. Nothing of a job is on a command line.
"""

import hashlib
import io
import shlex
import tarfile
from dataclasses import dataclass
from importlib import resources

from domain.jobs.phases import AttemptEnd, Stage
from domain.jobs.spec import JobSpec, unix_lines

FOLDER = "/root/.dumont/jobs"
WORK = "/workspace"
NO_RUNNER = 127
GRACE_SECONDS = 10
"""From SIGTERM to SIGKILL."""
MOST_OUTPUT = 1 << 30
"""Bytes kept of each of stdout and stderr; the rest is dropped, so that a print in a loop fills no disk."""

_RUNNER = (resources.files("machine.job_runner") / "job_runner.sh").read_text()
_MAIN = (resources.files("machine.job_runner") / "job_main.sh").read_text()


@dataclass(frozen=True)
class RunnerLimits:
    """Seconds and bytes, and the folder that the script begins in."""

    timeout: int
    grace: int = GRACE_SECONDS
    most: int = MOST_OUTPUT
    work: str = WORK
    platform: tuple[str, ...] = ()
    """Variables of the machine's own that the script gets, as patterns of the shell."""


@dataclass(frozen=True)
class RunnerSays:
    """One answer of the runner. `state`: `absent running ended vanished`. Sizes and output in bytes."""

    state: str
    stdout_size: int
    stderr_size: int
    stdout: bytes
    stderr: bytes
    stage: Stage
    exit_code: int | None = None
    end: AttemptEnd | None = None


def folder_of(attempt_id: str) -> str:
    return f"{FOLDER}/{attempt_id}"


def packed(attempt_id: str, spec: JobSpec, env: dict[str, str], limits: RunnerLimits) -> bytes:
    """The tar for the machine; only root may read what is in it."""
    mark = hashlib.sha256(attempt_id.encode()).hexdigest()[:32]
    words: dict[str, object] = {"timeout": limits.timeout, "grace": limits.grace, "most": limits.most, "mark": mark}
    words |= {"work": limits.work, "platform": " ".join(limits.platform)}
    files = {
        "run": _RUNNER,
        "main": _MAIN,
        "limits": "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in words.items()),
        "env": "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items()),
        "script": unix_lines(spec.script),
        "setup": unix_lines(spec.setup_script) if spec.setup_script.strip() else "",
        "requirements": "".join(f"{each}\n" for each in spec.pip_packages),
    }
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data := text.encode()), 0o700
            tar.addfile(entry, io.BytesIO(data))
    return packing.getvalue()


def starting(folder: str) -> str:
    """A shell command: takes the tar on stdin, starts the runner detached unless it was; ends once it has begun.

    The files are unpacked aside and renamed: the runner of another start may be opening them, and must find each.
    """
    return (
        f'umask 077; f={shlex.quote(folder)}; mkdir -p "$f" && cd "$f" || exit 1; '
        "[ -d claim ] && { cat > /dev/null; exit 0; }; "
        'new="new.$$"; mkdir -p "$new" && tar -xf - -C "$new" && { [ -d claim ] || mv -f "$new"/* .; }; '
        'there=$?; rm -rf "$new"; [ "$there" = 0 ] || exit 1; '
        "setsid nohup sh ./run work > /dev/null 2>&1 < /dev/null & n=0; "
        "while [ ! -e runner ] && [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done; [ -d claim ]"
    )


def reading(folder: str, stdout_from: int, stderr_from: int, *, most: int, looks: int, pause: float) -> str:
    """A shell command: waits for news on the machine itself, `looks` times `pause` seconds at the most."""
    run = f"{shlex.quote(folder)}/run"
    gone = "{ echo vanished 0 0 0 0 script; exit 0; }"  # a script may wipe even that
    return f"[ -f {run} ] || {gone}; exec sh {run} read {stdout_from} {stderr_from} {most} {looks} {pause:g}"


def stopping(folder: str, why: AttemptEnd) -> str:
    """A shell command: have the runner end the job. The first reason given stands."""
    return f"sh {shlex.quote(folder)}/run stop {why.value}"


def collecting(folder: str, paths: list[str]) -> str:
    """A shell command: a tar on stdout, and on stderr a line for each path that is missing or refused.

    It ends with `NO_RUNNER` where the runner is not there any more, and so never will be.
    """
    run = shlex.join(["sh", f"{folder}/run", "collect", *paths])
    return f"[ -f {shlex.quote(folder)}/run ] || exit {NO_RUNNER}; exec {run}"


def parse(answer: bytes) -> RunnerSays:
    """
    Raises:
        ValueError: cut short, or no answer of the runner.
    """
    head, _, rest = answer.partition(b"\n")
    words = head.decode().split()
    if len(words) < 6 or words[0] not in ("absent", "running", "ended", "vanished"):
        raise ValueError("no answer of the runner")
    stdout_size, stderr_size, out, err = map(int, words[1:5])
    if len(rest) != max(0, out) + max(0, err):
        raise ValueError("an answer cut short")
    said = RunnerSays(words[0], stdout_size, stderr_size, rest[: max(0, out)], rest[max(0, out) :], Stage(words[5]))
    if said.state != "ended":
        return said
    return RunnerSays(
        **{**said.__dict__, "exit_code": int(words[6]), "end": AttemptEnd(words[7])},
    )
