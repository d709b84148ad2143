"""What comes next for a job: tables over what its rows can say."""

import itertools
from typing import Any

import pytest

from domain.instances.phases import InstanceStatus
from domain.jobs.artifacts import BadPath, artifact_name, output_path
from domain.jobs.phases import AttemptEnd, AttemptState, JobStatus, Stage
from domain.jobs.spec import unix_lines
from domain.jobs.steps import (
    AttemptFacts,
    JobFacts,
    JobStep,
    Parked,
    after_attempt,
    end_without_a_word,
    next_job_step,
    waits_for_files,
)
from domain.jobs.utf8 import whole_characters
from domain.machines.phases import Power


def facts(
    state: AttemptState | None = None, *, wanted: bool = True, status: JobStatus = JobStatus.QUEUED, **more: Any
) -> JobFacts:
    said: dict[str, Any] = {"instance_status": InstanceStatus.RUNNING, "machine_up": True} | more
    attempt = None if state is None else AttemptFacts(id="job.1", number=1, state=state, instance_id=1, **said)
    return JobFacts(status=status, wanted=wanted, attempt=attempt)


GONE: dict[str, Any] = {"instance_status": InstanceStatus.FAILED, "machine_up": False}
COMING: dict[str, Any] = {"instance_status": InstanceStatus.STARTING, "machine_up": False}


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (facts(), JobStep.ADMIT),
        (facts(wanted=False), JobStep.CONCLUDE),
        (facts(AttemptState.OVER), JobStep.ADMIT),
        (facts(AttemptState.OVER, wanted=False), JobStep.CONCLUDE),
        (facts(AttemptState.PROVISIONING, **COMING), JobStep.WAIT_FOR_MACHINE),
        (facts(AttemptState.PROVISIONING), JobStep.START),
        (facts(AttemptState.PROVISIONING, wanted=False), JobStep.END_ATTEMPT),
        (facts(AttemptState.PROVISIONING, **GONE), JobStep.END_ATTEMPT),
        (facts(AttemptState.PROVISIONING, instance_wanted=False), JobStep.END_ATTEMPT),
        (facts(AttemptState.PROVISIONING, restore="snap_1"), JobStep.RESTORE),
        (facts(AttemptState.PROVISIONING, restore="snap_1", **COMING), JobStep.WAIT_FOR_MACHINE),
        (facts(AttemptState.PROVISIONING, restore="snap_1", wanted=False), JobStep.END_ATTEMPT),
        (facts(AttemptState.RUNNING), JobStep.FOLLOW),
        (facts(AttemptState.RUNNING, wanted=False), JobStep.FOLLOW),
        (facts(AttemptState.RUNNING, machine_up=False), JobStep.END_ATTEMPT),
        (facts(AttemptState.RUNNING, instance_wanted=False), JobStep.END_ATTEMPT),
        (facts(AttemptState.ENDED), JobStep.COLLECT),
        (facts(AttemptState.ENDED, wanted=False, **GONE), JobStep.COLLECT),
        (facts(AttemptState.COLLECTED), JobStep.RELEASE),
        (facts(AttemptState.COLLECTED, is_released=True, **GONE), JobStep.CONCLUDE),
    ],
)
def test_the_next_step(given: JobFacts, step: JobStep) -> None:
    assert next_job_step(given) is step


STOPPED: dict[str, Any] = {"machine_up": False, "machine_held": True, "is_parked": True}
STARTING: dict[str, Any] = {"machine_up": False, "machine_held": True, "power": Power.RUNNING}
NOT_YET, DUE, TOO_LATE = Parked(seconds=9), Parked(is_due=True), Parked(is_due=True, is_over=True)


@pytest.mark.parametrize(
    ("parked", "more", "step"),
    [
        (NOT_YET, STOPPED, JobStep.WAIT_PARKED),
        (NOT_YET, STARTING, JobStep.PARK),
        (NOT_YET, STOPPED | {"machine_held": False}, JobStep.GIVE_UP_FILES),
        (NOT_YET, STOPPED | {"wanted": False}, JobStep.GIVE_UP_FILES),
        (NOT_YET, STOPPED | {"instance_wanted": False}, JobStep.GIVE_UP_FILES),
        (NOT_YET, {"machine_up": True, "machine_held": True}, JobStep.COLLECT),
        (DUE, STOPPED, JobStep.UNPARK),
        (DUE, STARTING, JobStep.WAIT_FOR_MACHINE),
        (DUE, STARTING | {"start_refused": True}, JobStep.PARK),
        (DUE, {"machine_up": True, "machine_held": True}, JobStep.COLLECT),
        (TOO_LATE, STOPPED, JobStep.GIVE_UP_FILES),
        (TOO_LATE, STARTING, JobStep.GIVE_UP_FILES),
    ],
)
def test_the_next_step_while_its_files_wait(parked: Parked, more: dict[str, Any], step: JobStep) -> None:
    assert next_job_step(facts(AttemptState.ENDED, parked=parked, **more)) is step


@pytest.mark.parametrize("end", list(AttemptEnd))
@pytest.mark.parametrize("wanted", [True, False])
def test_a_machine_waits_for_files_that_no_other_attempt_will_make(end: AttemptEnd, wanted: bool) -> None:
    given = facts(AttemptState.ENDED, end=end, wanted=wanted)
    assert waits_for_files(given) is (wanted and end in (AttemptEnd.EXITED, AttemptEnd.TIMEOUT))


@pytest.mark.parametrize("status", [status for status in JobStatus if status.is_over])
def test_nothing_comes_after_the_end(status: JobStatus) -> None:
    for state, wanted in itertools.product([None, *AttemptState], [True, False]):
        assert next_job_step(facts(state, wanted=wanted, status=status)) is JobStep.NOTHING


def test_a_machine_goes_only_after_its_files_were_fetched() -> None:
    """Whatever else is so: from the script's first moment on, RELEASE and CONCLUDE come only after COLLECT."""
    for state, wanted, up in itertools.product(
        [AttemptState.RUNNING, AttemptState.ENDED], [True, False], [True, False]
    ):
        assert next_job_step(facts(state, wanted=wanted, machine_up=up)) not in (JobStep.RELEASE, JobStep.CONCLUDE)


@pytest.mark.parametrize(
    ("given", "end"),
    [
        (facts(AttemptState.RUNNING, instance_ran=True, **GONE), AttemptEnd.LOST),
        (facts(AttemptState.PROVISIONING, **GONE), AttemptEnd.NO_MACHINE),
        (facts(AttemptState.PROVISIONING, wanted=False, **COMING), AttemptEnd.CANCELLED),
        (facts(AttemptState.RUNNING, instance_wanted=False), AttemptEnd.CANCELLED),
    ],
)
def test_how_an_attempt_ended_that_cannot_say(given: JobFacts, end: AttemptEnd) -> None:
    assert end_without_a_word(given) is end


@pytest.mark.parametrize(
    ("end", "code", "retries", "boots", "wanted", "status"),
    [
        (AttemptEnd.EXITED, 0, 0, 5, True, JobStatus.COMPLETED),
        (AttemptEnd.EXITED, 0, 0, 5, False, JobStatus.COMPLETED),
        (AttemptEnd.EXITED, 1, 9, 5, True, JobStatus.FAILED),
        (AttemptEnd.TIMEOUT, 143, 9, 5, True, JobStatus.TIMEOUT),
        (AttemptEnd.CANCELLED, 143, 9, 5, False, JobStatus.CANCELLED),
        (AttemptEnd.LOST, None, 1, 5, True, JobStatus.QUEUED),
        (AttemptEnd.LOST, None, 0, 5, True, JobStatus.FAILED),
        (AttemptEnd.LOST, None, 1, 5, False, JobStatus.CANCELLED),
        (AttemptEnd.VANISHED, None, 1, 5, True, JobStatus.QUEUED),
        (AttemptEnd.VANISHED, None, 0, 5, True, JobStatus.FAILED),
        (AttemptEnd.NO_MACHINE, None, 0, 1, True, JobStatus.QUEUED),
        (AttemptEnd.NO_MACHINE, None, 9, 0, True, JobStatus.FAILED),
    ],
)
def test_what_comes_after_an_attempt(
    end: AttemptEnd, code: int | None, retries: int, boots: int, wanted: bool, status: JobStatus
) -> None:
    outlook = after_attempt(
        end, code, Stage.SCRIPT, wanted=wanted, retries_left=retries, boots_left=boots, message="It went."
    )
    assert outlook.status is status
    assert outlook.reason or status is JobStatus.COMPLETED


def test_scripts_get_unix_lines() -> None:
    assert unix_lines("\ufeffa\r\nb\r\n") == "a\nb\n"
    assert unix_lines("a\rb") == "a\rb\n"


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("/workspace/output", "/workspace/output"),
        ("model.bin", "/workspace/model.bin"),
        ("./out/", "/workspace/out"),
        (" /root/x ", "/root/x"),
        ("/workspace/..a", "/workspace/..a"),
    ],
)
def test_output_paths(said: str, path: str) -> None:
    assert output_path(said) == path


@pytest.mark.parametrize(
    "said", ["", " ", "/", "..", "../x", "/workspace/../etc", "/proc/1", "/root/.ssh", "/root/.dumont/x", "a\nb"]
)
def test_output_paths_that_are_refused(said: str) -> None:
    with pytest.raises(BadPath):
        output_path(said)


def test_names_of_artifacts() -> None:
    named = ["/workspace/output/a", "workspace/stdout.log", "root/stdout.log", "workspace/x/stdout.log"]
    assert [artifact_name(each) for each in named] == [
        "output/a",
        "workspace/stdout.log",
        "root/stdout.log",
        "x/stdout.log",
    ]
    with pytest.raises(BadPath):
        artifact_name("workspace/../x")


@pytest.mark.parametrize("text", ["", "plain", "ä", "€uro€", "🙂 and 🙂", "mixed ä€🙂"])
def test_a_character_is_never_cut(text: str) -> None:
    data = text.encode()
    for cut in range(len(data) + 1):
        taken = whole_characters(data[:cut])
        data[:taken].decode()
        assert cut - taken < 4


def test_bytes_that_are_no_text_are_taken_all_the_same() -> None:
    for data in (b"\xff\xfe", b"\x80" * 10, b"ok\xff", b"\xc3\x28"):
        assert len(data) - whole_characters(data) <= 3
    assert whole_characters(b"\x80" * 10) == 10
