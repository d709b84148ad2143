"""The runner itself, on this computer: what it promises whatever a script does."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from activities.jobs.runner import RunnerLimits, RunnerSays, collecting, packed, parse, reading, starting, stopping
from domain.jobs.phases import AttemptEnd, Stage
from domain.jobs.spec import JobSpec
from tests.simulator.conftest import poll

LONG = 60


class Machine:
    """One attempt's folder, and a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder / "a folder" / "attempt", folder / "workspace"

    def start(self, script: str, *, timeout: int = LONG, grace: int = 1, most: int = 1 << 30, **spec: Any) -> None:
        limits = RunnerLimits(timeout=timeout, grace=grace, most=most, work=str(self.work))
        env: dict[str, str] = spec.pop("env", {})
        tar = packed(str(self.folder), JobSpec(script=script, **spec), env, limits)
        started = subprocess.run(["sh", "-c", starting(str(self.folder))], input=tar, check=False, timeout=LONG)
        assert started.returncode == 0

    def read(self, out: int = 0, err: int = 0, looks: int = 1000, most: int = 1 << 20) -> RunnerSays:
        command = reading(str(self.folder), out, err, most=most, looks=looks, pause=0.05)
        return parse(subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=True, timeout=LONG).stdout)

    def stop(self, why: AttemptEnd) -> None:
        subprocess.run(["sh", "-c", stopping(str(self.folder), why)], check=True, timeout=LONG)

    def ended(self) -> tuple[RunnerSays, bytes, bytes]:
        """The last word, and all that was printed."""
        out, err, deadline = b"", b"", time.monotonic() + LONG
        while time.monotonic() < deadline:
            said = self.read(len(out), len(err))
            out, err = out + said.stdout, err + said.stderr
            if said.state != "running" and (len(out), len(err)) == (said.stdout_size, said.stderr_size):
                return said, out, err
        raise AssertionError("it did not end")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    if made.folder.exists():
        made.stop(AttemptEnd.CANCELLED)
        made.ended()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("true", 0),
        ("exit 1", 1),
        ("exit 137", 137),
        ("kill -9 $$", 137),
        ("#!/no/such/thing", 127),
        ("kill -TERM $$", 143),
    ],
)
def test_it_tells_the_exit_code(machine: Machine, script: str, code: int) -> None:
    machine.start(script)
    said, _, _ = machine.ended()
    assert (said.state, said.exit_code, said.end, said.stage) == ("ended", code, AttemptEnd.EXITED, Stage.SCRIPT)


def test_it_runs_once_however_often_it_is_started(machine: Machine) -> None:
    for _ in range(5):
        machine.start("echo ran; sleep 0.3")
    machine.ended()
    machine.start("echo ran; sleep 0.3")
    assert machine.ended()[1] == b"ran\n"


def test_started_by_many_at_once_it_runs_once(machine: Machine) -> None:
    tar = packed(
        str(machine.folder), JobSpec(script="echo ran"), {}, RunnerLimits(timeout=LONG, work=str(machine.work))
    )
    command = ["sh", "-c", starting(str(machine.folder))]
    starts = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(8)]
    for each in starts:
        each.communicate(tar, timeout=LONG)
    assert {each.returncode for each in starts} == {0}
    assert machine.ended()[1] == b"ran\n"
    assert not list(machine.folder.glob("new.*"))


def until(file: str) -> str:
    """For a script: wait until the file is there."""
    return f'until [ -e "{file}" ]; do sleep 0.02; done'


def test_a_reader_waits_for_news_and_gets_only_what_is_new(machine: Machine) -> None:
    machine.start(f"echo one; {until('two')}; sleep 0.2; echo two; {until('three')}; echo three >&2")
    first = machine.read()
    assert (first.state, first.stdout) == ("running", b"one\n")
    (machine.work / "two").touch()
    second = machine.read(4)
    assert second.stdout == b"two\n"
    (machine.work / "three").touch()
    said, out, err = machine.ended()
    assert (said.exit_code, out, err) == (0, b"one\ntwo\n", b"three\n")


def test_an_answer_has_at_most_so_many_bytes(machine: Machine) -> None:
    machine.start("head -c 100000 /dev/zero")
    machine.ended()
    said = machine.read(99_990, 0, most=8)
    assert (len(said.stdout), said.stdout_size) == (8, 100_000)


@pytest.fixture
def watch_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The runner looks at its clock for the first time when this file is there: until then its `sleep 0.3` lasts."""
    programs, begins = tmp_path / "programs", tmp_path / "watch begins"
    programs.mkdir()
    real = shutil.which("sleep")
    (programs / "sleep").write_text(f'#!/bin/sh\n[ "$1" != 0.3 ] || {until(str(begins))}\nexec {real} "$@"\n')
    (programs / "sleep").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    yield begins
    begins.touch()


def test_the_time_limit_ends_even_what_ignores_it(machine: Machine, watch_begins: Path) -> None:
    machine.start(f"trap '' TERM; touch '{watch_begins}'; echo here; while :; do sleep 0.1; done", timeout=1)
    said, out, _ = machine.ended()
    assert (said.exit_code, said.end, out) == (137, AttemptEnd.TIMEOUT, b"here\n")


def test_what_is_told_to_end_may_save_first(machine: Machine) -> None:
    machine.start("trap 'sleep 0.4; echo saved; exit 0' TERM; echo here; while :; do sleep 0.1; done", grace=20)
    machine.read()
    machine.stop(AttemptEnd.CANCELLED)
    machine.stop(AttemptEnd.TIMEOUT)
    said, out, _ = machine.ended()
    assert (said.exit_code, said.end, out) == (0, AttemptEnd.CANCELLED, b"here\nsaved\n")


@pytest.mark.parametrize(
    "how", ["sleep 987 &", "setsid sleep 987 &", "( setsid sh -c \"trap '' TERM; sleep 987; sleep 987\" & )"]
)
def test_a_script_that_forks_and_exits_is_over_and_leaves_nobody(machine: Machine, how: str) -> None:
    machine.start(f"{how}\necho forked")
    said, out, _ = machine.ended()
    assert (said.exit_code, out) == (0, b"forked\n")
    assert running_in(machine.work) == []


def running_in(folder: Path) -> list[int]:
    """The processes that work in the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            where = os.readlink(entry)
        except OSError:
            continue
        found += [int(entry.parent.name)] if where.startswith(str(folder)) else []
    return found


def test_output_is_bounded_on_the_disk_and_nobody_is_held_up(machine: Machine) -> None:
    stdout = machine.folder / "stdout"
    dropped = f"{until(f'{stdout}.full')}; while kill -0 $(cat '{stdout}.cat') 2>/dev/null; do sleep 0.02; done"
    machine.start(f"head -c 2000000 /dev/zero; {dropped}; head -c 50000000 /dev/zero; echo end >&2", most=1_000_000)
    said, out, err = machine.ended()
    assert (said.exit_code, err) == (0, b"end\n")
    assert 1_000_000 <= len(out) <= 2_000_000


@pytest.mark.parametrize("script", ["head -c 300000 /dev/urandom | tee copy", "printf 'no newline' | tee copy"])
def test_bytes_come_as_they_are(machine: Machine, script: str) -> None:
    machine.start(script)
    assert machine.ended()[1] == (machine.work / "copy").read_bytes()


def test_windows_line_ends_a_byte_order_mark_and_a_megabyte(machine: Machine) -> None:
    machine.start("\ufeffif true; then\r\n  echo ok\r\nfi\r\n" + "# padding\r\n" * 90_000 + "echo end")
    assert machine.ended()[1] == b"ok\nend\n"


def test_setup_comes_first_and_its_failure_is_told(machine: Machine) -> None:
    machine.start("echo never", setup_script="echo setting up; exit 7")
    said, out, _ = machine.ended()
    assert (said.exit_code, said.stage, out) == (7, Stage.SETUP, b"setting up\n")


def test_the_environment_is_in_no_file_any_more_and_was_never_on_a_command_line(machine: Machine) -> None:
    machine.start('echo "$TOKEN"; cat /proc/$$/cmdline', env={"TOKEN": "it's a\nsecret"})
    _, out, _ = machine.ended()
    assert out.startswith(b"it's a\nsecret\n")
    assert out.count(b"secret") == 1
    assert not (machine.folder / "env").exists()
    assert machine.folder.stat().st_mode & 0o077 == 0


def test_a_runner_that_is_killed_has_vanished(machine: Machine) -> None:
    machine.start("sleep 30")
    pid = int((machine.folder / "runner").read_text().split()[0])
    os.kill(pid, 9)
    assert machine.read().state == "vanished"
    bury(machine)


def bury(machine: Machine) -> None:
    """End what a killed runner has left, and say for it that the job has ended."""
    for each in running_in(machine.work):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, 9)
    (machine.folder / "exit").write_text("1 exited\n")


def test_one_that_is_killed_has_vanished_where_nobody_waits_for_it_too(machine: Machine) -> None:
    """As a container's first process often does not."""
    unpacked(machine, "sleep 30")
    with subprocess.Popen(["sh", machine.folder / "run", "work"]) as runner:
        poll((machine.work / "output").exists)
        runner.kill()
        assert machine.read().state == "vanished"
    bury(machine)


def unpacked(machine: Machine, script: str) -> None:
    machine.folder.mkdir(parents=True)
    tar = packed(str(machine.folder), JobSpec(script=script), {}, RunnerLimits(timeout=LONG, work=str(machine.work)))
    subprocess.run(["tar", "-xf", "-", "-C", str(machine.folder)], input=tar, check=True)


def test_nothing_begun_is_told_so(machine: Machine) -> None:
    unpacked(machine, "true")
    assert machine.read(looks=0).state == "absent"
    machine.start("true")


ON_A_SMALL_DISK = """
mkdir -p "$1" && mount -t tmpfs -o size=3m none "$1" && sh -c "$2" || exit 1
tries=0; while [ ! -s "$1/exit" ] && [ "$tries" -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
sh -c "$3"
"""


def test_a_script_that_fills_the_disk_is_heard_of_all_the_same(machine: Machine) -> None:
    folder = str(machine.folder)
    written = f'until [ -s "{folder}/stdout" ]; do sleep 0.02; done'  # by the runner, of what the script prints
    spec = JobSpec(
        script=f"echo before; {written}; dd if=/dev/zero of=filler bs=64k; echo after; head -c 999999 /dev/zero; exit 5"
    )
    tar = packed(folder, spec, {}, RunnerLimits(timeout=LONG, work=f"{folder}/work"))
    commands = [folder, starting(folder), reading(folder, 0, 0, most=1 << 20, looks=0, pause=0.1)]
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "-", *commands], input=tar, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    said = parse(ran.stdout)
    assert (said.state, said.exit_code, said.end) == ("ended", 5, AttemptEnd.EXITED)
    assert said.stdout.startswith(b"before\n")
    machine.folder.rmdir()


def test_what_is_collected_is_what_is_there(machine: Machine, tmp_path: Path) -> None:
    machine.start("mkdir -p out; echo x > out/file; ln -s /etc/passwd out/link; ln -s / out/root")
    machine.ended()
    paths = [f"{machine.work}/out", f"{machine.work}/nothing", f"{machine.work}/out/link"]
    done = subprocess.run(["sh", "-c", collecting(str(machine.folder), paths)], capture_output=True, check=True)
    said = done.stderr.decode().splitlines()
    assert said == [f"missing: {machine.work}/nothing", f"refused: {machine.work}/out/link"]
    listed = subprocess.run(["tar", "-tf", "-"], input=done.stdout, capture_output=True, check=True).stdout.decode()
    assert {name.rsplit("/", 1)[-1] for name in listed.split() if not name.endswith("/")} >= {
        "stdout",
        "stderr",
        "file",
    }
    assert "passwd" not in listed


def test_a_cut_answer_is_no_answer() -> None:
    for answer in (b"", b"running 5 0 5 0 script\nabc", b"sh: not found\n"):
        with pytest.raises(ValueError, match=r"cut short|no answer"):
            parse(answer)


def test_a_script_gets_the_variables_of_its_platform_and_no_others(tmp_path: Path) -> None:
    """Whatever the cloud calls them: here PID 1's are read from a file of ours."""
    text = (resources.files("machine.job_runner") / "job_main.sh").read_text()
    (tmp_path / "environ").write_bytes(b"MACHINE_ID=vm-1\0CLOUD_ZONE=a b\0CLOUDY=no\0SECRET=no\0PATH=/usr/bin:/bin\0")
    here = tmp_path / "here"
    here.mkdir()
    (here / "limits").write_text(f"work={tmp_path}\nmark=m\nplatform='MACHINE_ID CLOUD_*'\n")
    (here / "env").write_text("")
    (here / "script").write_text('echo "$MACHINE_ID,$CLOUD_ZONE,$CLOUDY,$SECRET"')
    (here / "main").write_text(text.replace("/proc/1/environ", str(tmp_path / "environ")))
    done = subprocess.run(["sh", here / "main"], capture_output=True, text=True, env={}, check=True, timeout=LONG)
    assert done.stdout == "vm-1,a b,,\n"
