"""Flow 2 with no worker about: jobs are accepted, shown, refused and cancelled all the same."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.jobs.output import OutputPosition
from api.jobs.ranges import RangeNotThere, one_range
from tests.api.people import Cloud, new_user

CHECKLIST = {
    "name": "test-job",
    "script": "nvidia-smi && python -c 'import torch; print(torch.cuda.is_available())'",
    "gpu_type": "RTX 4090",
    "disk_size": 20,
    "timeout_minutes": 10,
}


async def made(user: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await user.post("/api/jobs", json=CHECKLIST | changes)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_the_answer(app: FastAPI, rita: httpx.AsyncClient) -> None:
    job = await made(rita)
    assert job["id"] == job["job_id"]
    assert job["id"].startswith("job_")
    assert (job["status"], job["name"], job["queue_position"], job["exit_code"]) == ("queued", "test-job", 1, None)
    assert (job["machine_released"], job["offers_tried"], job["total_cost"]) == (True, [], 0)
    described = await app.state.app_state.temporal.get_workflow_handle(job["workflow_id"]).describe()
    assert described.status.name == "RUNNING"
    assert (await rita.get(f"/api/jobs/{job['id']}/")).json() == job
    listed = (await rita.get("/api/jobs", params={"status": "queued"})).json()
    assert (listed["jobs"], listed["count"], listed["total"]) == ([job], 1, 1)
    assert (await rita.get("/api/jobs", params={"status": "running"})).json()["total"] == 0


async def test_what_is_left_out_or_null_and_other_names(rita: httpx.AsyncClient) -> None:
    said = {"command": "true", "gpu_name": "rtx_4090", "output_path": "results", "env": None, "use_spot": True}
    job = (await rita.post("/api/jobs", json=said)).json()
    assert (job["name"], job["num_gpus"], job["disk_size"], job["timeout_minutes"]) == ("job", 1, 20, 60)
    assert (job["output_paths"], job["use_spot"], job["max_retries"]) == (["/workspace/results"], True, 3)
    assert (await made(rita))["output_paths"] == ["/workspace/output"]
    assert (await made(rita))["max_retries"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"script": ""},
        {"script": "\r\n"},
        {"script": "x" * ((1 << 20) + 1)},
        {"timeout_minutes": 0.5},
        {"num_gpus": 0},
        {"max_retries": -1},
        {"max_price": 0},
        {"disk_size": 1},
        {"gpu_type": "RTX 9999"},
        {"output_paths": "/workspace/../etc"},
        {"output_paths": ["/root/.ssh"]},
        {"output_paths": [1]},
        {"env": {"A B": "x"}},
        {"env": {"A": "x" * 20_000}},
        {"pip_packages": ["--index-url=http://evil"]},
        {"pip_packages": ["a\nb"]},
        {"image": "no such image; rm"},
    ],
)
async def test_what_cannot_be_meant(rita: httpx.AsyncClient, change: dict[str, Any]) -> None:
    assert (await rita.post("/api/jobs", json=CHECKLIST | change)).status_code == 422
    assert (await rita.get("/api/jobs")).json()["total"] == 0


async def test_a_script_of_a_megabyte_is_taken_and_ten_are_not(rita: httpx.AsyncClient) -> None:
    await made(rita, script="#" * (1 << 20))
    assert (await rita.post("/api/jobs", json=CHECKLIST | {"script": "#" * 10_000_000})).status_code == 413


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"max_price": 0.001}, 409, "no_offers"),
        ({"offer_id": 999_999_999}, 409, "offer_gone"),
        ({"num_gpus": 64}, 409, "gpu_limit"),
    ],
)
async def test_what_is_refused(rita: httpx.AsyncClient, change: dict[str, Any], status: int, error: str) -> None:
    answer = await rita.post("/api/jobs", json=CHECKLIST | change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_without_money(ana: httpx.AsyncClient, cloud: Cloud) -> None:
    await ana.put("/api/settings", json={"vast_api_key": await cloud.new_key(credit=0)})
    assert (await ana.post("/api/jobs", json=CHECKLIST)).json()["error"] == "balance_too_low"


async def test_a_cap_that_could_never_be_kept(rita: httpx.AsyncClient) -> None:
    await rita.put("/api/settings", json={"settings": {"spending_cap_per_day": 0.01}})
    answer = await rita.post("/api/jobs", json=CHECKLIST)
    assert (answer.status_code, answer.json()["error"]) == (402, "spending_cap")


async def test_cancelled_before_anybody_began(rita: httpx.AsyncClient) -> None:
    job = await made(rita)
    answer = await rita.post(f"/api/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert answer.json()["completed_at"] is not None
    assert (await rita.post(f"/api/jobs/{job['id']}/cancel")).status_code == 200
    output = (await rita.get(f"/api/jobs/{job['id']}/output")).json()
    assert (output["stdout"], output["stderr"], output["files"], output["truncated"]) == ("", "", [], False)
    assert (await rita.get(f"/api/jobs/{job['id']}/logs")).json() == {"job_id": job["id"], "logs": ""}
    assert (await rita.get(f"/api/jobs/{job['id']}/artifacts")).json()["count"] == 0
    stream = await rita.get(f"/api/jobs/{job['id']}/output", params={"follow": "true"})
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.text.count("event: ") == 2
    assert stream.text.endswith("\n\n")


async def test_idempotency(rita: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "one"}
    first, again = [await rita.post("/api/jobs", json=CHECKLIST, headers=headers) for _ in range(2)]
    assert first.json() == again.json()
    other = await rita.post("/api/jobs", json=CHECKLIST | {"name": "x"}, headers=headers)
    assert (other.status_code, other.json()["error"]) == (409, "idempotency_key_reused")


async def test_pages(rita: httpx.AsyncClient) -> None:
    ids = [(await made(rita))["id"] for _ in range(3)]
    first = (await rita.get("/api/jobs", params={"limit": 2})).json()
    second = (await rita.get("/api/jobs", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [job["id"] for page in (first, second) for job in page["jobs"]] == ids[::-1]
    assert second["next_cursor"] is None


async def test_anothers_job_does_not_exist(app: FastAPI, rita: httpx.AsyncClient) -> None:
    job, other = await made(rita), await new_user(app)
    for id in (job["id"], "job_nope", "1", "job_" + "a" * 16):
        for path in ("", "/output", "/logs", "/artifacts", "/artifacts/stdout.log"):
            assert (await other.get(f"/api/jobs/{id}{path}")).status_code == 404
        assert (await other.post(f"/api/jobs/{id}/cancel")).status_code == 404
    await other.aclose()


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("bytes=0-4", (0, 5)),
        ("bytes=5-", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=9-99", (9, 10)),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=-", None),
    ],
)
def test_ranges(header: str | None, wanted: tuple[int, int] | None) -> None:
    assert one_range(header, 10) == wanted


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_ranges_behind_the_end(header: str) -> None:
    with pytest.raises(RangeNotThere):
        one_range(header, 10)


@pytest.mark.parametrize("text", [None, "", "x", "1-2", "1-2-x", "1--2", "9" * 20 + "-1-1", "1-2-3-4"])
def test_an_event_id_that_is_none_of_ours_begins_anew(text: str | None) -> None:
    assert OutputPosition.read(text) == OutputPosition()
    assert OutputPosition.read("2-10-3") == OutputPosition(2, 10, 3)
