"""Execute and destroy: a script runs once on a machine of its own, its output and files stay, the machine goes."""

import hashlib
import io
import json
import tarfile
from typing import Any

import httpx
import psycopg
import pytest

from settings import Settings
from tests.long_runs import only_long
from tests.system.histories import all_histories, text_of
from tests.system.running import Running, until
from workflow_client.client import connect

CHECKLIST = "nvidia-smi && python -c 'import torch; print(torch.cuda.is_available())'"


async def test_the_checklists_job_completes_and_nothing_is_left(system: Running) -> None:
    job = await system.job(CHECKLIST)
    assert (job["status"], job["id"]) == ("queued", job["job_id"])
    done = await system.job_becomes(job["id"])
    assert (done["status"], done["exit_code"], done["error_message"]) == ("completed", 0, None), done
    assert await system.machines() == []
    assert (done["machine_released"], [each["outcome"] for each in done["offers_tried"]]) == (True, ["served"])
    assert done["total_cost"] > 0
    output = await system.job_output(job["id"])
    assert "RTX 4090" in output["stdout"]
    assert output["stdout"].endswith("True\n")
    assert [each["path"] for each in output["files"]] == ["stderr.log", "stdout.log"]
    assert (await system.api.get("/instances")).json()["instances"] == []


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("exit 1", 1, "exit code 1"),
        *only_long(
            ("kill -9 $$", 137, "SIGKILL"),
            ("exit 137", 137, "137"),
            ("#!/no/such/program\n", 127, "127"),
        ),
    ],
)
async def test_a_script_that_fails_fails_the_job_with_its_exit_code(
    system: Running, script: str, code: int, said: str
) -> None:
    done = await system.job_becomes((await system.job(script))["id"])
    assert (done["status"], done["exit_code"]) == ("failed", code), done
    assert said in done["error_message"]
    assert (done["attempts"], await system.machines()) == (1, [])


async def test_files_are_collected_before_the_machine_goes(system: Running) -> None:
    script = """
    mkdir -p output/deep "output/with space"; head -c 3000000 /dev/urandom > output/deep/model.bin
    sha256sum output/deep/model.bin; printf 'grüß' > 'output/with space/ä.txt'; : > output/empty
    ln -s /etc/passwd output/stolen; ln output/empty output/again; mkfifo output/pipe; echo kept > /root/mine
    ln -s /etc /workspace/outside; echo late > stdout.log
    """
    paths = ["/workspace/output", "missing", "/root/mine", "outside/passwd", "stdout.log"]
    job = await system.job(script, output_paths=paths)
    done = await system.job_becomes(job["id"])
    assert done["status"] == "completed", done
    artifacts = (await system.api.get(f"/jobs/{job['id']}/artifacts")).json()
    found = {each["path"]: each for each in artifacts["artifacts"]}
    assert set(found) == {
        *("stdout.log", "stderr.log", "workspace/stdout.log", "root/mine"),
        *("output/deep/model.bin", "output/with space/ä.txt", "output/empty", "output/again"),
    }
    assert artifacts["count"] == done["artifacts_count"] == len(found)
    model = await downloaded(system, found["output/deep/model.bin"])
    assert (await system.job_output(job["id"]))["stdout"].split()[0] == hashlib.sha256(model).hexdigest()
    assert (await downloaded(system, found["output/with space/ä.txt"])).decode() == "grüß"
    notes = "\n".join(done["notes"])
    assert "Not there: /workspace/missing." in notes
    assert "output/stolen is a symbolic link (to /etc/passwd)" in notes
    assert "/workspace/outside/passwd leads out of the workspace" in notes
    assert "output/pipe is no plain file" in notes
    await ranges_and_archive(system, job["id"], found, model)


async def ranges_and_archive(system: Running, job_id: str, found: dict[str, Any], model: bytes) -> None:
    url = f"{system.addresses['api']}{found['output/deep/model.bin']['url']}"
    part = await system.api.get(url, headers={"Range": "bytes=1000000-1000099"})
    assert (part.status_code, part.content) == (206, model[1_000_000:1_000_100])
    assert part.headers["Content-Range"] == "bytes 1000000-1000099/3000000"
    assert (await system.api.get(url, headers={"Range": "bytes=-5"})).content == model[-5:]
    assert (await system.api.get(url, headers={"Range": "bytes=3000000-"})).status_code == 416
    whole = await system.api.get(f"/jobs/{job_id}/artifacts", params={"archive": "tar.gz"})
    with tarfile.open(fileobj=io.BytesIO(whole.content), mode="r:gz") as tar:
        names = {member.name.removeprefix(f"{job_id}/") for member in tar}
        assert names == set(found)
        inside = tar.extractfile(f"{job_id}/output/deep/model.bin")
        assert inside is not None
        assert inside.read() == model
    for nothing in ("nope", "../stdout.log", "%2e%2e/x"):
        assert (await system.api.get(f"/jobs/{job_id}/artifacts/{nothing}")).status_code == 404


async def downloaded(system: Running, artifact: dict[str, Any]) -> bytes:
    answer = await system.api.get(f"{system.addresses['api']}{artifact['url']}")
    assert answer.status_code == 200, answer.text
    assert hashlib.sha256(answer.content).hexdigest() == artifact["sha256"]
    assert len(answer.content) == artifact["size"]
    return answer.content


async def test_setup_packages_and_environment_come_before_the_script(system: Running) -> None:
    package = "mkdir -p /tmp/p/dumonttest; echo 'SAID=42' > /tmp/p/dumonttest/__init__.py"
    job = await system.job(
        "#!/usr/bin/env python3\r\nimport os, sys\r\nsys.path.insert(0, '/tmp/p')\r\n"
        "import dumonttest\r\nprint(dumonttest.SAID, os.environ['TOKEN'], os.getcwd())\r\n",
        setup_script=f"{package}\necho set up\n",
        env={"TOKEN": 'it\'s\n"secret" $HOME'},
    )
    done = await system.job_becomes(job["id"])
    assert done["status"] == "completed", (done, await system.job_output(job["id"]))
    assert (await system.job_output(job["id"]))["stdout"] == 'set up\n42 it\'s\n"secret" $HOME /workspace\n'


@pytest.mark.long
async def test_a_failing_setup_or_package_fails_the_job_and_says_so(system: Running) -> None:
    setup = await system.job("echo never", setup_script="exit 3")
    packages = await system.job("echo never", pip_packages=["no-such-package-of-anybodys==99.99"])
    done = await system.job_becomes(setup["id"])
    assert (done["status"], done["exit_code"]) == ("failed", 3)
    assert done["error_message"].startswith("The setup_script ended with exit code 3")
    assert (await system.job_output(setup["id"]))["stdout"] == ""
    done = await system.job_becomes(packages["id"])
    assert done["status"] == "failed"
    assert done["error_message"].startswith("Installing pip_packages ended")


async def test_output_streams_while_it_runs_and_goes_on_where_it_was_cut(system: Running) -> None:
    lines = "".join(f"line {i}\n" for i in range(1, 41)) + "no end €"
    script = "for i in $(seq 1 40); do echo line $i; sleep 0.1; done; printf 'no end €'; echo bad >&2; sleep 600"
    job = await system.job(script)
    said = {"stdout": "", "stderr": ""}
    kinds: list[str] = []
    last_id, cuts = "", 0
    while not kinds or kinds[-1] != "end":
        headers = {"Last-Event-ID": last_id}
        async with system.api.stream("GET", f"/jobs/{job['id']}/output?follow=true", headers=headers) as answer:
            async for event in events_of(answer):
                kinds.append(event["event"])
                last_id = event["id"]
                if event["event"] == "output":
                    data = json.loads(event["data"])
                    said[data["stream"]] += data["text"]
                    if said == {"stdout": lines, "stderr": "bad\n"}:
                        await system.api.post(f"/jobs/{job['id']}/cancel")
                    if cuts < 5:
                        cuts += 1
                        break
    assert said == {"stdout": lines, "stderr": "bad\n"}
    logs = (await system.api.get(f"/jobs/{job['id']}/logs")).json()["logs"]
    assert logs == f"{lines}\nbad\n"


async def events_of(answer: httpx.Response) -> Any:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields
            fields = {}


async def test_no_secret_of_a_job_is_in_a_history_a_process_list_or_plain_in_a_row(system: Running) -> None:
    secret = "wJalrXUtnFEMI-not-to-be-seen"  # noqa: S105 - the test's own
    script = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; ls -l /root/.dumont/jobs/*/env 2>&1; printenv TOKEN | wc -c"
    job = await system.job(script, env={"TOKEN": secret})
    done = await system.job_becomes(job["id"])
    assert done["status"] == "completed", done
    output = (await system.job_output(job["id"]))["stdout"]
    assert secret not in output
    assert "No such file" in output
    assert output.rstrip().endswith(str(len(secret) + 1))
    temporal = await connect(Settings(temporal_address=system.addresses["temporal"]))
    async for history in all_histories(temporal):
        assert secret not in text_of(history)
    with psycopg.connect(system.addresses["database"].replace("+psycopg", "")) as database:
        (row,) = (
            database.execute("SELECT row_to_json(jobs)::text FROM jobs WHERE id = %s", [job["id"]]).fetchone() or ()
        )
    assert secret not in row


@pytest.mark.long
async def test_the_same_idempotency_key_queues_once(system: Running) -> None:
    body, headers = {"script": "true", "gpu_type": "RTX 4090"}, {"Idempotency-Key": "once"}
    first, again = [await system.api.post("/jobs", json=body, headers=headers) for _ in range(2)]
    assert first.json()["id"] == again.json()["id"]
    await system.job_becomes(first.json()["id"])
    assert (await system.api.get("/jobs")).json()["total"] == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"gpu_type": "RTX 9999"}, 422),
        ({"max_price": 0.001}, 409),
        ({"offer_id": 999_999_999}, 409),
        ({"num_gpus": 64}, 409),
        ({"script": " \n"}, 422),
        ({"output_paths": ["/workspace/../etc"]}, 422),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_queued(
    system: Running, change: dict[str, Any], status: int
) -> None:
    body = {"script": "true", "gpu_type": "RTX 4090"}
    assert (await system.api.post("/jobs", json=body | change)).status_code == status
    assert (await system.api.get("/jobs")).json()["jobs"] == []


async def test_another_users_job_does_not_exist(system: Running) -> None:
    job = await system.job("true")
    mine = system.api.headers["Authorization"]
    await system.register()
    for path in ("", "/output", "/logs", "/artifacts", "/artifacts/stdout.log"):
        assert (await system.api.get(f"/jobs/{job['id']}{path}")).status_code == 404
    assert (await system.api.post(f"/jobs/{job['id']}/cancel")).status_code == 404
    system.api.headers["Authorization"] = mine
    await system.job_becomes(job["id"])


async def test_what_a_job_left_expires(system: Running) -> None:
    job = await system.job("echo gone soon")
    await system.job_becomes(job["id"])
    with psycopg.connect(system.addresses["database"].replace("+psycopg", "")) as database:
        database.execute("UPDATE jobs SET expires_at = now() WHERE id = %s", [job["id"]])

    async def expired() -> bool | None:
        return (await system.api.get(f"/jobs/{job['id']}/artifacts")).status_code == 410 or None

    await until(expired, 30, "the artifacts to be gone")
    assert (await system.job_output(job["id"]))["stdout"] == ""
    store = system.installation.folder / "artifacts"
    assert [path for path in store.rglob("*") if path.is_file() and job["id"] in str(path)] == []
