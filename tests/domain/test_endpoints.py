"""What comes next for an endpoint, over every combination of what its rows may say."""

from functools import cache
from itertools import product

import pytest

from domain.endpoints.looks import SILENT_LOOKS, ServerSeen, silent_in_a_row
from domain.endpoints.phases import EndpointState
from domain.endpoints.steps import (
    EndpointFacts,
    EndpointStep,
    ends_as_stopped,
    next_endpoint_step,
    reason_to_give_up,
    restart_pause,
)
from domain.instances.phases import InstanceStatus

S, E = EndpointStep, EndpointState
RUNNING = InstanceStatus.RUNNING


def facts(state: EndpointState, **more: object) -> EndpointFacts:
    """Of an endpoint whose server is, or was, on the machine that runs for it."""
    row = {"was_ready": True, "instance_status": RUNNING, "machine": "one", "server_on": "one", "trouble": "It ended."}
    return EndpointFacts.model_validate({"state": state} | row | more)


NO_MACHINE = {"machine": None, "instance_status": InstanceStatus.PROVISIONING}


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (facts(E.STARTING, **NO_MACHINE, server_on=None, was_ready=False), S.AWAIT_MACHINE),
        (facts(E.STARTING, server_on=None, was_ready=False), S.START_SERVER),
        (facts(E.LOADING, was_ready=False), S.AWAIT_MODEL),
        (facts(E.READY), S.WATCH),
        (facts(E.READY, **NO_MACHINE), S.LEAVE_MACHINE),
        (facts(E.READY, machine="two"), S.LEAVE_MACHINE),
        (facts(E.LOADING, machine="two"), S.LEAVE_MACHINE),
        (facts(E.DOWN, failures=1), S.START_SERVER),
        (facts(E.DOWN, failures=2, restart_in=4.0), S.WAIT_TO_RESTART),
        (facts(E.DOWN, failures=5), S.START_SERVER),
        (facts(E.DOWN, failures=6), S.GIVE_UP),
        (facts(E.DOWN, failures=1, was_ready=False), S.GIVE_UP),
        (facts(E.DOWN, failures=1, **NO_MACHINE), S.LEAVE_MACHINE),
        (facts(E.READY, wanted=False), S.GIVE_UP),
        (facts(E.READY, instance_wanted=False), S.GIVE_UP),
        (facts(E.STARTING, machine=None, instance_status=InstanceStatus.FAILED), S.GIVE_UP),
        (facts(E.CLOSING, machine=None, instance_status=InstanceStatus.DESTROYING), S.RELEASE),
        (facts(E.CLOSING, machine=None, instance_status=InstanceStatus.DESTROYED), S.CLOSE),
        (facts(E.CLOSED), S.NOTHING),
    ],
)
def test_the_next_step(given: EndpointFacts, step: EndpointStep) -> None:
    assert next_endpoint_step(given) is step


@cache
def everything() -> list[EndpointFacts]:
    return [
        facts(
            state,
            wanted=wanted,
            was_ready=was_ready,
            instance_status=status,
            instance_wanted=instance_wanted,
            machine=machine if status is RUNNING else None,
            server_on=server_on,
            failures=failures,
            restart_in=restart_in,
        )
        for state, wanted, was_ready, status, instance_wanted, machine, server_on, failures, restart_in in product(
            E, (True, False), (True, False), InstanceStatus, (True, False), (None, "one"), (None, "one", "two"),
            (0, 5, 6), (0.0, 5.0),
        )
    ]  # fmt: skip


def test_requests_only_go_to_a_server_on_the_machine_that_runs() -> None:
    for each in everything():
        if next_endpoint_step(each) is S.WATCH:
            assert each.state is E.READY
            assert each.machine == each.server_on is not None
            assert each.wanted


def test_nothing_is_done_on_a_machine_for_an_endpoint_that_nobody_wants() -> None:
    for each in everything():
        if not each.wanted or not each.instance_wanted or each.instance_status.is_over:
            assert next_endpoint_step(each) in (S.GIVE_UP, S.RELEASE, S.CLOSE, S.NOTHING)


def test_every_end_has_a_reason_and_a_failure_is_not_called_a_stop() -> None:
    for each in everything():
        if next_endpoint_step(each) is S.GIVE_UP:
            assert reason_to_give_up(each)
            if each.wanted and each.instance_status is InstanceStatus.FAILED:
                assert not ends_as_stopped(each)


def after(step: EndpointStep, given: EndpointFacts) -> EndpointFacts:
    """The rows once the step is done, where the world does its part."""
    effects: dict[EndpointStep, dict[str, object]] = {
        S.AWAIT_MACHINE: {"instance_status": RUNNING, "machine": "three"},
        S.LEAVE_MACHINE: {"state": E.STARTING, "server_on": None},
        S.START_SERVER: {"state": E.LOADING, "server_on": given.machine},
        S.AWAIT_MODEL: {"state": E.READY, "was_ready": True},
        S.WAIT_TO_RESTART: {"restart_in": 0.0},
        S.GIVE_UP: {"state": E.CLOSING, "server_on": None},
        S.RELEASE: {"instance_status": InstanceStatus.DESTROYED, "machine": None},
        S.CLOSE: {"state": E.CLOSED},
    }
    return given.model_copy(update=effects[step])


def test_every_combination_comes_to_serving_or_to_its_end() -> None:
    for given in everything():
        now, steps = given, 0
        while (step := next_endpoint_step(now)) not in (S.WATCH, S.NOTHING):
            now, steps = after(step, now), steps + 1
            assert steps < 8, given


def test_a_server_that_fails_in_a_row_waits_longer_each_time_but_not_for_ever() -> None:
    assert [restart_pause(failures, 5.0) for failures in range(1, 7)] == [0.0, 5.0, 10.0, 20.0, 40.0, 80.0]
    assert restart_pause(1000, 5.0) == 120.0


def test_silent_looks_count_only_in_a_row() -> None:
    silent = ServerSeen.SILENT
    assert silent_in_a_row(0, None, 15, silent) == 1
    assert silent_in_a_row(SILENT_LOOKS - 1, 16, 15, silent) == SILENT_LOOKS
    assert silent_in_a_row(3, 3600, 15, silent) == 1  # nobody looked for an hour
    assert silent_in_a_row(3, 16, 15, ServerSeen.HEALTHY) == 0
