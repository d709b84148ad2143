"""The model of Temporal does what Temporal does: one workflow says the same of both."""

import sys
from datetime import timedelta
from pathlib import Path

import psycopg
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.patience import PATIENCE_SECONDS
from tests.protocol.clock import Clock
from tests.protocol.temporal import wire
from tests.protocol.temporal.agenda import Agenda
from tests.protocol.temporal.probe import ACTIVITIES, Probe
from tests.protocol.temporal.server import ModelTemporal

FLAGS = ["--dynamic-config-value", 'history.timerProcessorMaxTimeShift="50ms"']


async def said_by_the_real_one() -> list[str]:
    server = Path(sys.executable).parent / "temporal"  # of a wheel
    async with (
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=str(server),
            dev_server_extra_args=FLAGS,
            dev_server_startup_timeout=timedelta(seconds=PATIENCE_SECONDS),
            data_converter=pydantic_data_converter,
        ) as environment,
        Worker(environment.client, task_queue="probe", workflows=[Probe], activities=ACTIVITIES),
    ):
        handle = await environment.client.start_workflow(Probe.run, 0, id="probe", task_queue="probe")
        await handle.signal(Probe.changed, "a word")
        return await handle.result()


async def said_by_the_model(connection: psycopg.Connection, *, workers_die: bool) -> list[str]:
    clock = Clock(connection)
    clock.begin()
    server = ModelTemporal(Agenda(clock), [Probe])
    server.activities = {each.__name__: each for each in ACTIVITIES}
    run = server.start("Probe", "probe", wire.payloads([0]))
    server.signal("probe", "changed", ["a word"])
    for _ in range(20):
        await server.agenda.play(clock.after(0.5))
        if workers_die:
            await server.kill_workers()
    await server.close()
    assert all(isinstance(each, ValueError) for each in server.unforeseen)
    assert run.result is not None
    said: list[str] = run.result
    return said


async def test_one_workflow_meets_the_same_in_both(clocked_url: str) -> None:
    with psycopg.connect(clocked_url.replace("+psycopg", ""), autocommit=True) as connection:
        model = await said_by_the_model(connection, workers_die=False)
        with_deaths = await said_by_the_model(connection, workers_die=True)
    assert model == with_deaths == await said_by_the_real_one()


async def test_a_workflow_that_continues_as_new_begins_anew(clocked_url: str) -> None:
    with psycopg.connect(clocked_url.replace("+psycopg", ""), autocommit=True) as connection:
        clock = Clock(connection)
        clock.begin()
        server = ModelTemporal(Agenda(clock), [Probe])
        server.activities = {each.__name__: each for each in ACTIVITIES}
        for number in (1, 0):
            run = server.start("Probe", "probe", wire.payloads([1]))
            server.signal("probe", "changed", [f"word {number}"])
            await server.agenda.play(clock.after(10))
            assert run.is_over
        ended = server.runs["probe"]
        await server.close()
    assert ended.result is not None
    assert ended.result[0] == "round 0"
    assert ended.result[-1] == "word 0"
