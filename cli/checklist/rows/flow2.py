"""Flow 2: a job runs, its output and files stay, its GPU goes."""

import time
from typing import Any

from cli.checklist.expecting import Failed, check, text
from cli.checklist.row import Row
from cli.checklist.tester import Tester

FLOW = "Fluxo 2: Job GPU (Execute & Destroy)"

JOB = {
    "name": "test-job",
    "script": "nvidia-smi && python -c 'import torch; print(torch.cuda.is_available())'",
    "gpu_type": "RTX 4090",
    "disk_size": 20,
    "timeout_minutes": 10,
}
STATUSES = ("queued", "provisioning", "running", "collecting", "completed")


def create(tester: Tester) -> str:
    tester.made.job_at = time.monotonic()
    body = tester.ask("POST", "/api/jobs", json=JOB, expect=(200, 201, 202))
    tester.made.job = text(body, "job_id")
    check(body.get("status") == "queued", f"status: {body.get('status')}")
    return f"{tester.made.job}, status {body['status']}"


def see_it_run(tester: Tester) -> str:
    seen: list[str] = []

    def look() -> dict[str, Any] | None:
        status = str(job(tester)["status"])
        check(status in STATUSES, f"status: {status}")
        if not seen or seen[-1] != status:
            seen.append(status)
        return {} if STATUSES.index(status) >= STATUSES.index("running") else None

    tester.wait_for("running", look)
    return " → ".join(dict.fromkeys(["queued", *seen]))


def await_end(tester: Tester) -> str:
    def over() -> dict[str, Any] | None:
        body = job(tester)
        if body["status"] in ("failed", "timeout", "cancelled"):
            raise Failed(f"status {body['status']}: {body.get('error_message')}")
        return body if body["status"] == "completed" else None

    body = tester.wait_for("completed", over)
    tester.made.job_instance = body.get("instance_id")
    check(body.get("exit_code") == 0, f"exit_code: {body.get('exit_code')}")
    seconds = time.monotonic() - tester.made.job_at
    return f"completed em {seconds:.1f} s ({seconds / 60:.2f} min), US$ {body['total_cost']:.4f}"


def read_output(tester: Tester) -> str:
    body = tester.get(f"/api/jobs/{tester.made.job}/output")
    check("True" in body["stdout"].split(), f"o script não viu a GPU: {body['stdout'][-200:]!r}")
    check(bool(body["files"]), "nenhum arquivo de saída")
    return f"{len(body['stdout'])} caracteres, termina em {body['stdout'].strip().splitlines()[-1]!r}"


def see_it_gone(tester: Tester) -> str:
    ids = [instance["id"] for instance in tester.get("/api/instances")["instances"]]
    check(tester.made.job_instance not in ids, f"a instância {tester.made.job_instance} ainda aparece")
    check(job(tester).get("machine_released") is True, "a máquina não foi liberada")
    return f"a instância {tester.made.job_instance} não aparece"


def download(tester: Tester) -> str:
    body = tester.get(f"/api/jobs/{tester.made.job}/artifacts")
    paths = {each["path"]: each for each in body["artifacts"]}
    check({"stdout.log", "stderr.log"} <= set(paths), f"faltam os logs: {sorted(paths)}")
    url = f"{tester.base}{paths['stdout.log']['url']}"
    log = tester.http.get(url, headers={"Authorization": f"Bearer {tester.token}"})
    check(log.status_code == 200 and len(log.content) == paths["stdout.log"]["size"], f"{url}: {log.status_code}")
    return f"{body['count']} arquivo(s): {', '.join(sorted(paths))}"


def job(tester: Tester) -> dict[str, Any]:
    return tester.get(f"/api/jobs/{tester.made.job}")


ROWS = (
    Row(
        id="2.1",
        flow=FLOW,
        title="Criar job",
        request="`POST /api/jobs`",
        expected="Retorna job_id",
        step=create,
    ),
    Row(
        id="2.2",
        flow=FLOW,
        title="Verificar status",
        request="`GET /api/jobs/{job_id}`",
        expected="Status: queued → running",
        step=see_it_run,
        needs=("2.1",),
    ),
    Row(
        id="2.3",
        flow=FLOW,
        title="Aguardar conclusão",
        request="Polling status",
        expected="Status: completed",
        step=await_end,
        needs=("2.2",),
    ),
    Row(
        id="2.4",
        flow=FLOW,
        title="Verificar output",
        request="`GET /api/jobs/{job_id}/output`",
        expected="Logs e arquivos de saída",
        step=read_output,
        needs=("2.3",),
    ),
    Row(
        id="2.5",
        flow=FLOW,
        title="Verificar GPU destruída",
        request="`GET /api/instances`",
        expected="Instância não aparece",
        step=see_it_gone,
        needs=("2.3",),
    ),
    Row(
        id="2.6",
        flow=FLOW,
        title="Download de artefatos",
        request="`GET /api/jobs/{job_id}/artifacts`",
        expected="Arquivos gerados",
        step=download,
        needs=("2.3",),
    ),
)
