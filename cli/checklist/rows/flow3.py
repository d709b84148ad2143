"""Flow 3: a GPU to work on, through a real `ssh`: it falls asleep by itself, wakes, and comes back from a snapshot."""

import time

from cli.checklist.expecting import check, text
from cli.checklist.row import Row, Timed
from cli.checklist.tester import Tester
from cli.checklist.workplace import await_status, check_the_file, first, leave_a_file, over_ssh, seen, terminal

FLOW = "Fluxo 3: Desenvolvimento Interativo"

GPU = "RTX 3090"
WANTED = {"gpu_type": GPU, "image": "pytorch/pytorch:2.1.2-cuda12.1-cudnn8-runtime", "disk_size": 30}
"""The document's own body."""


def find_offers(tester: Tester) -> str:
    offers = tester.get("/api/instances/offers")["offers"]
    check(bool(offers), "nenhuma oferta")
    check(all(offer["gpu_name"] and offer["dph_total"] > 0 for offer in offers), "há ofertas sem GPU ou sem preço")
    names = sorted({offer["gpu_name"] for offer in offers})
    return f"{len(offers)} ofertas, {len(names)} GPUs: {', '.join(names[:6])}"


def create(tester: Tester) -> str:
    terminal(tester)  # an instance made by an account without a key would warn of it
    body = tester.ask("POST", "/api/instances", json=WANTED, expect=(200, 201, 202))
    check(isinstance(body.get("instance_id"), int), f"instance_id não é um inteiro: {body.get('instance_id')!r}")
    tester.made.instances.append(body["instance_id"])
    check(isinstance(body.get("ssh_port"), int), f"ssh_port não é um inteiro: {body.get('ssh_port')!r}")
    check(not body.get("warnings"), f"avisos: {body.get('warnings')}")
    host, kind = text(body, "ssh_host"), text(body, "ssh_host_key").split()[0]
    return f"instance_id {body['instance_id']}, ssh_host {host}, ssh_port {body['ssh_port']}, chave do host {kind}"


def await_ssh(tester: Tester) -> str:
    began = time.monotonic()
    await_status(tester, first(tester), "running")
    running = time.monotonic() - began
    over_ssh(tester, first(tester), "true")
    return f"running após {running:.1f} s; `ssh` conecta com verificação estrita da chave do host"


def log_in(tester: Tester) -> str:
    who = over_ssh(tester, first(tester), "whoami").output
    check(who == "root", f"whoami respondeu: {who[:100]}")
    return f"{seen(tester, first(tester))['ssh_command']}: {who}"


def see_gpu(tester: Tester) -> str:
    listed = over_ssh(tester, first(tester), "nvidia-smi -L").output
    check(GPU in listed, f"nvidia-smi não lista a {GPU}: {listed[:200]}")
    whole = over_ssh(tester, first(tester), "nvidia-smi").output
    check("NVIDIA-SMI" in whole, f"nvidia-smi respondeu: {whole[:200]}")
    return listed.splitlines()[0]


def set_windows(tester: Tester) -> None:
    """Of the run's own instance; the account's stay as they are."""
    minutes = {"idle_pause_minutes": tester.windows.pause, "idle_hibernate_minutes": tester.windows.hibernate}
    tester.ask("PATCH", f"/api/instances/{first(tester)}", json=minutes)


def be_idle(tester: Tester) -> str:
    sha256 = leave_a_file(tester)
    set_windows(tester)
    await_status(tester, first(tester), "pausing", "paused", after_minutes=tester.windows.pause)
    return f"{tester.windows.words}; antes foi gravado um arquivo de teste (sha256 {sha256[:12]})"


def see_paused(tester: Tester) -> str:
    body = await_status(tester, first(tester), "paused")
    events = tester.get(f"/api/instances/{first(tester)}/events", limit=100)["events"]
    why = next((event["text"] for event in events if event["kind"] == "pause"), "")
    check(bool(why), "a linha do tempo não diz por que pausou")
    return f"status {body['status']}, no provedor {body.get('actual_status')}; motivo: {why}"


def wake_by_ssh(tester: Tester) -> str:
    began = time.monotonic()
    told = check_the_file(tester, first(tester)).told
    tester.made.resume_seconds = time.monotonic() - began
    return f"`ssh` acordou a GPU, o arquivo está intacto; dito durante a espera: {told[:200] or '(nada)'}"


def see_running(tester: Tester) -> str:
    body = seen(tester, first(tester))
    check(body["status"] == "running", f"status: {body['status']}: {body.get('message')}")
    return f"status {body['status']}: {body.get('message')}"


def time_resume(tester: Tester) -> Timed:
    seconds = tester.made.resume_seconds
    report = seen(tester, first(tester)).get("last_wake") or {}
    method = f", método {report['method']}" if report.get("method") else ""
    return Timed(f"{seconds:.1f} s do início do `ssh` do teste 3 até a resposta do comando{method}", seconds)


def stay_paused(tester: Tester) -> str:
    windows = tester.windows
    leave_a_file(tester)
    set_windows(tester)
    both = windows.pause + windows.hibernate
    body = await_status(tester, first(tester), "hibernated", after_minutes=both)
    return f"{windows.words}; status {body['status']}: {body.get('message')}"


def see_snapshot(tester: Tester) -> str:
    every = tester.get("/api/snapshots", instance_id=first(tester))["snapshots"]
    good = [each for each in every if each["status"] == "ready" and each["verified"]]
    check(bool(good), f"nenhum snapshot pronto e verificado da instância, entre {len(every)}")
    newest = max(good, key=lambda each: str(each["created_at"]))
    tester.made.snapshot = text(newest, "snapshot_id")
    return f"{newest['snapshot_id']}: {newest['files']} arquivos, {newest['size_bytes']} bytes, verificado"


def see_destroyed(tester: Tester) -> str:
    listed = [each["instance_id"] for each in tester.get("/api/instances", limit=500)["instances"]]
    check(first(tester) not in listed, f"a instância {first(tester)} ainda está na lista")
    holder = str(first(tester))
    held = [each for each in tester.get("/api/leases", limit=1000)["leases"] if each["holder"]["id"] == holder]
    check(not held, f"ainda há máquinas alugadas para ela: {[each['provider_id'] for each in held]}")
    return f"não listada (status {seen(tester, first(tester))['status']}); nenhuma máquina alugada para ela"


def restore(tester: Tester) -> str:
    path = f"/api/snapshots/{tester.made.snapshot}/restore"
    body = tester.ask("POST", path, json={}, expect=(200, 201, 202))
    check(isinstance(body.get("instance_id"), int), f"instance_id não é um inteiro: {body.get('instance_id')!r}")
    check(body["instance_id"] not in tester.made.instances, "não é uma nova instância")
    tester.made.instances.append(body["instance_id"])
    running = await_status(tester, body["instance_id"], "running")
    return f"nova instância {running['instance_id']}, {running['gpu_name']}, {running['ssh_command']}"


def see_restored(tester: Tester) -> str:
    check_the_file(tester, tester.made.instances[-1])
    return f"o arquivo de teste em /workspace tem o mesmo sha256 ({tester.made.sha256[:12]})"


ROWS = (
    Row(
        id="3.1.1",
        flow=FLOW,
        title="Buscar ofertas",
        request="`GET /api/instances/offers`",
        expected="Lista de GPUs disponíveis",
        step=find_offers,
    ),
    Row(
        id="3.1.2",
        flow=FLOW,
        title="Criar instância",
        request="`POST /api/instances`",
        expected="Retorna instance_id, ssh_host, ssh_port",
        step=create,
    ),
    Row(
        id="3.1.3",
        flow=FLOW,
        title="Aguardar SSH ready",
        request="Polling até ssh disponível",
        expected="SSH conectável",
        step=await_ssh,
        needs=("3.1.2",),
    ),
    Row(
        id="3.1.4",
        flow=FLOW,
        title="Conectar via SSH",
        request="`ssh -p {port} root@{host}`",
        expected="Login bem-sucedido",
        step=log_in,
        needs=("3.1.3",),
    ),
    Row(
        id="3.1.5",
        flow=FLOW,
        title="Verificar GPU",
        request="`nvidia-smi` no SSH",
        expected="GPU listada corretamente",
        step=see_gpu,
        needs=("3.1.3",),
    ),
    Row(
        id="3.2.1",
        flow=FLOW,
        title="Deixar GPU ociosa",
        request="Não usar por 3 minutos",
        expected="-",
        step=be_idle,
        needs=("3.1.3",),
    ),
    Row(
        id="3.2.2",
        flow=FLOW,
        title="Verificar pause automático",
        request="`GET /api/instances/{id}`",
        expected="Status: paused",
        step=see_paused,
        needs=("3.2.1",),
    ),
    Row(
        id="3.2.3",
        flow=FLOW,
        title="Fazer request à GPU",
        request="Qualquer comando SSH ou API",
        expected="GPU acorda automaticamente",
        step=wake_by_ssh,
        needs=("3.2.2",),
    ),
    Row(
        id="3.2.4",
        flow=FLOW,
        title="Verificar resume",
        request="`GET /api/instances/{id}`",
        expected="Status: running",
        step=see_running,
        needs=("3.2.3",),
    ),
    Row(
        id="3.2.5",
        flow=FLOW,
        title="Medir tempo de resume",
        request="Cronometrar",
        expected="Tempo: _______ segundos",
        step=time_resume,
        needs=("3.2.3",),
        measures=("Resume de GPU pausada",),
    ),
    Row(
        id="3.3.1",
        flow=FLOW,
        title="Deixar GPU pausada",
        request="Não usar por 30 minutos",
        expected="-",
        step=stay_paused,
        needs=("3.1.3",),
    ),
    Row(
        id="3.3.2",
        flow=FLOW,
        title="Verificar snapshot criado",
        request="`GET /api/snapshots`",
        expected="Snapshot da instância",
        step=see_snapshot,
        needs=("3.3.1",),
    ),
    Row(
        id="3.3.3",
        flow=FLOW,
        title="Verificar instância destruída",
        request="`GET /api/instances`",
        expected="Instância não listada",
        step=see_destroyed,
        needs=("3.3.1",),
    ),
    Row(
        id="3.3.4",
        flow=FLOW,
        title="Restaurar snapshot",
        request="`POST /api/snapshots/{id}/restore`",
        expected="Nova instância criada",
        step=restore,
        needs=("3.3.2",),
        measures=("Restauração de snapshot",),
    ),
    Row(
        id="3.3.5",
        flow=FLOW,
        title="Verificar dados restaurados",
        request="SSH e verificar /workspace",
        expected="Dados intactos",
        step=see_restored,
        needs=("3.3.4",),
    ),
)
