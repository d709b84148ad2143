"""Bad luck with jobs: nothing lost of what was printed, the script run once a machine, nothing left rented."""

from typing import Any

import pytest

from domain.workflow_contracts import job_workflow_id
from settings import Settings
from tests.long_runs import only_long
from tests.system.running import Running, until
from workflow_client.client import connect

COUNTS = "for i in $(seq 1 30); do echo line $i; sleep 0.1; done"
COUNTED = "".join(f"line {i}\n" for i in range(1, 31))


async def prints(system: Running, job_id: str, text: str) -> None:
    """Wait until it has printed this."""

    async def there() -> bool | None:
        return text in (await system.job_output(job_id))["stdout"] or None

    await until(there, 60, f"{job_id} to print {text}")


async def its_machine(system: Running, job_id: str) -> int:
    """The cloud's id of the machine that it runs on."""
    instance = await system.instance((await system.job_now(job_id))["instance_id"])
    return int(instance["provider_id"])


@pytest.mark.parametrize("name", ["worker", *only_long("temporal", "api", "postgres", "gateway")])
async def test_kill_9_in_the_middle_of_a_script_misses_no_line_and_repeats_none(system: Running, name: str) -> None:
    job = await system.job(COUNTS)
    await prints(system, job["id"], "line 5\n")
    pid = system.kill(name)
    done = await system.job_becomes(job["id"])
    assert (done["status"], done["attempts"]) == ("completed", 1), done
    assert (await system.job_output(job["id"]))["stdout"] == COUNTED
    log = await system.api.get(f"/jobs/{job['id']}/artifacts/stdout.log")
    assert log.text == COUNTED
    await system.alive(0)
    system.installation.await_new_pid(name, pid)


@pytest.mark.long
async def test_a_terminate_click_in_the_middle_of_a_script_costs_time_only(system: Running) -> None:
    temporal = await connect(Settings(temporal_address=system.addresses["temporal"]))
    job = await system.job(COUNTS)
    await prints(system, job["id"], "line 5\n")
    await temporal.get_workflow_handle(job_workflow_id(job["id"])).terminate("a click")
    done = await system.job_becomes(job["id"])
    assert (done["status"], done["attempts"]) == ("completed", 1), done
    assert (await system.job_output(job["id"]))["stdout"] == COUNTED
    await system.alive(0)


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_a_machine_that_will_not_go_is_said_and_goes_later(system: Running) -> None:
    await system.fault("DELETE /api/v0/instances/", "ignored", times=1000)
    job = await system.job("echo done")
    done = await system.job_becomes(job["id"], seconds=200)
    assert (done["status"], done["machine_released"]) == ("completed", False), done
    await system.simulator.delete("/simulator/faults")
    await system.alive(0, seconds=90)

    async def released() -> bool | None:
        return (await system.job_now(job["id"]))["machine_released"] or None

    await until(released, 60, "the record to say that it is gone")


@pytest.mark.long
@pytest.mark.parametrize("how", ["outbid", "restart", "kill"])
async def test_a_machine_that_is_lost_is_replaced_as_often_as_was_asked(system: Running, how: str) -> None:
    more: dict[str, Any] = {"use_spot": True} if how == "outbid" else {"max_retries": 1}
    job = await system.job("echo begun; sleep 3; echo ended", **more)
    await prints(system, job["id"], "begun")
    first = await its_machine(system, job["id"])
    answer = await system.simulator.post(f"/simulator/machines/{first}/{how}")
    assert answer.is_success, answer.text
    done = await system.job_becomes(job["id"])
    assert (done["status"], done["attempts"], done["retries"]) == ("completed", 2, 1), done
    assert (await system.job_output(job["id"]))["stdout"] == "begun\nended\n"
    assert done["notes"][0].startswith("Attempt 1: ") or "Attempt 1: " in " ".join(done["notes"])
    assert len(done["offers_tried"]) == 2
    await system.alive(0)


@pytest.mark.long
async def test_a_lost_machine_without_a_retry_fails_the_job_and_keeps_what_was_printed(system: Running) -> None:
    job = await system.job("echo precious; sleep 60")
    await prints(system, job["id"], "precious")
    await system.simulator.post(f"/simulator/machines/{await its_machine(system, job['id'])}/kill")
    done = await system.job_becomes(job["id"])
    assert done["status"] == "failed"
    assert "lost" in done["error_message"]
    assert (await system.api.get(f"/jobs/{job['id']}/artifacts/stdout.log")).text == "precious\n"
    await system.alive(0)


@pytest.mark.long
async def test_cancelled_in_the_queue_it_is_over_at_once_with_every_worker_down(system: Running) -> None:
    await system.api.put("/settings", json={"settings": {"max_gpus": 1}})
    holding = await system.job("sleep 60")
    await system.job_becomes(holding["id"], "running")
    waiting = await system.job("echo never")
    system.kill("worker")
    answer = await system.api.post(f"/jobs/{waiting['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert (await system.api.post(f"/jobs/{waiting['id']}/cancel")).status_code == 200
    answer = await system.api.post(f"/jobs/{holding['id']}/cancel")
    assert (answer.status_code, answer.json()["cancel_requested"]) == (202, True)
    assert (await system.job_becomes(holding["id"]))["status"] == "cancelled"
    await system.alive(0)


@pytest.mark.long
@pytest.mark.parametrize("moment", ["running", "queued", "provisioning", "collecting"])
async def test_cancelled_at_any_moment_nothing_is_left(system: Running, moment: str) -> None:
    job = await system.job("echo begun; sleep 2")
    if moment != "queued":
        await system.job_becomes(job["id"], moment, "completed")
    answer = await system.api.post(f"/jobs/{job['id']}/cancel")
    assert answer.status_code in (202, 409)
    done = await system.job_becomes(job["id"])
    assert done["status"] == "cancelled" or (moment == "collecting" and done["status"] == "completed"), done
    assert await system.machines() == []


@pytest.mark.long
async def test_what_ignores_sigterm_is_ended_and_its_output_kept(system: Running) -> None:
    job = await system.job(
        "trap '' TERM; mkdir -p output; echo saved > output/x; echo begun; while :; do sleep 1; done"
    )
    await prints(system, job["id"], "begun")
    await system.api.post(f"/jobs/{job['id']}/cancel")
    done = await system.job_becomes(job["id"])
    assert (done["status"], done["exit_code"]) == ("cancelled", 137), done
    assert (await system.api.get(f"/jobs/{job['id']}/artifacts/output/x")).text == "saved\n"
    await system.alive(0)


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_the_time_limit_is_kept_by_the_machine_alone(system: Running) -> None:
    job = await system.job("trap 'echo told; exit 3' TERM; echo begun; while :; do sleep 1; done", timeout_minutes=1)
    done = await system.job_becomes(job["id"], seconds=150)
    assert (done["status"], done["exit_code"]) == ("timeout", 3), done
    assert (await system.job_output(job["id"]))["stdout"] == "begun\ntold\n"
    await system.alive(0)


async def test_a_lot_of_output_fast_is_kept_whole_and_shown_to_its_end(system: Running) -> None:
    job = await system.job("yes 0123456789abcdef | head -n 2000000; echo the end")
    done = await system.job_becomes(job["id"])
    assert done["status"] == "completed", done
    output = await system.job_output(job["id"])
    assert output["stdout"].endswith("0123456789abcdef\nthe end\n")
    assert output["truncated"]
    artifacts = (await system.api.get(f"/jobs/{job['id']}/artifacts")).json()["artifacts"]
    assert {each["path"]: each["size"] for each in artifacts}["stdout.log"] == 17 * 2_000_000 + 8


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_two_hundred_megabytes_of_output(system: Running) -> None:
    job = await system.job("head -c 200000000 /dev/zero | tr '\\0' x; echo; echo the end")
    done = await system.job_becomes(job["id"], seconds=500)
    assert done["status"] == "completed", done
    artifacts = (await system.api.get(f"/jobs/{job['id']}/artifacts")).json()["artifacts"]
    assert {each["path"]: each["size"] for each in artifacts}["stdout.log"] == 200_000_009


@pytest.mark.long
async def test_output_that_is_no_text_harms_nobody(system: Running) -> None:
    job = await system.job("printf 'a\\0b\\377\\376c'; head -c 100000 /dev/urandom >&2")
    done = await system.job_becomes(job["id"])
    assert done["status"] == "completed", done
    assert (await system.job_output(job["id"]))["stdout"] == "a\0b\ufffd\ufffdc"
    log = await system.api.get(f"/jobs/{job['id']}/artifacts/stdout.log")
    assert log.content == b"a\0b\xff\xfec"


@pytest.mark.long
async def test_a_script_that_wipes_what_we_brought_is_found_gone(system: Running) -> None:
    job = await system.job("echo begun; sleep 1; rm -rf /root/.dumont/jobs; sleep 60")
    done = await system.job_becomes(job["id"])
    assert done["status"] == "failed", done
    assert "gone" in done["error_message"]
    await system.alive(0)


@pytest.mark.long
async def test_an_owner_who_destroys_the_machine_cancels_the_job(system: Running) -> None:
    job = await system.job("echo begun; sleep 60", max_retries=3)
    await prints(system, job["id"], "begun")
    instance_id = (await system.job_now(job["id"]))["instance_id"]
    assert (await system.api.delete(f"/instances/{instance_id}")).status_code == 202
    done = await system.job_becomes(job["id"])
    assert (done["status"], done["attempts"]) == ("cancelled", 1), done
    await system.alive(0)
