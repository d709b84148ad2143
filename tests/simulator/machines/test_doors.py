"""The ways into a machine and what goes wrong with them; the GPU's load as the listing shows it."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import httpx

from tests import plain_http

from ..conftest import HOUR, Key, Simulator, poll
from ..shells import address, answers, machine, options, say, ssh

MODEL = "Qwen/Qwen2.5-0.5B"


def clocks(simulator: Simulator, **seconds: float) -> None:
    simulator.control.patch("/simulator/settings", json={"clocks": seconds}).raise_for_status()


def test_keys_that_never_reach_the_machine(simulator: Simulator, key: Key) -> None:
    simulator.fault("machine:sshd", "no_keys", times=1)
    row = machine(simulator, key)
    refused = ssh(row, key, "true")
    assert "Permission denied" in refused.stderr
    simulator.vast.post(f"/api/v0/instances/{row['id']}/ssh/", json={"ssh_key": key.public}).raise_for_status()
    assert say(row, key, "echo in") == "in"


def test_a_key_takes_its_time_to_reach_the_machine(simulator: Simulator, key: Key) -> None:
    row = simulator.await_status(simulator.rent(), "running")
    poll(lambda: answers(*address(row)))
    attached = f"/api/v0/instances/{row['id']}/ssh/"
    clocks(simulator, keys=HOUR)
    late = simulator.vast.post(attached, json={"ssh_key": key.public}).raise_for_status().json()["key"]
    assert ssh(row, key, "true").returncode == 255
    simulator.vast.delete(f"{attached}{late['id']}/").raise_for_status()
    clocks(simulator, keys=0.1)
    simulator.vast.post(attached, json={"ssh_key": key.public}).raise_for_status()
    poll(lambda: ssh(row, key, "true").returncode == 0)


def test_authorized_keys_written_anew(simulator: Simulator, key: Key) -> None:
    row = machine(simulator, key)
    say(row, key, "echo 'ssh-ed25519 AAAA appended' >> ~/.ssh/authorized_keys")
    assert "appended" in say(row, key, "cat ~/.ssh/authorized_keys")
    simulator.control.post("/simulator/keys/rewrite").raise_for_status()
    assert "appended" not in say(row, key, "cat ~/.ssh/authorized_keys")
    say(row, key, "echo 'ssh-ed25519 AAAA appended' >> ~/.ssh/authorized_keys")
    clocks(simulator, rewrite_keys=0.5)
    poll(lambda: "appended" not in say(row, key, "cat ~/.ssh/authorized_keys"))


def proxied(row: dict[str, Any], key: Key) -> int:
    argv = ["ssh", *options(key), "-p", str(row["ssh_port"]), f"root@{row['ssh_host']}", "true"]
    return subprocess.run(argv, capture_output=True, timeout=120, check=False).returncode


def test_direct_ports_come_later_or_never(simulator: Simulator, key: Key) -> None:
    clocks(simulator, ports=HOUR)
    env = {"SSH_PUBLIC_KEY": key.public}
    row = simulator.await_status(simulator.rent(env=env), "running")
    assert "ports" not in row
    poll(lambda: proxied(row, key) == 0)
    number = row["id"]
    clocks(simulator, ports=0.2)
    simulator.vast.put(f"/api/v0/instances/reboot/{number}/", json={}).raise_for_status()
    poll(lambda: simulator.show(number).get("ports"))
    row = simulator.show(number)
    poll(lambda: ssh(row, key, "true").returncode == 0)
    clocks(simulator, ports=0)
    simulator.fault("machine:ports", "missing", match="missing")
    simulator.fault("machine:ports", "unreachable", match="unreachable")
    missing = simulator.await_status(simulator.rent(label="missing", env=env), "running")
    assert "ports" not in missing
    shown = simulator.await_status(simulator.rent(label="unreachable", env=env), "running")
    poll(lambda: proxied(missing, key) == 0)
    poll(lambda: proxied(shown, key) == 0)
    assert not answers(*address(shown))


def test_a_gpu_that_fell_off_the_bus(simulator: Simulator, key: Key) -> None:
    simulator.fault("machine:gpu", "missing", nth=2)
    row = machine(simulator, key)
    assert say(row, key, "nvidia-smi -L").startswith("GPU 0")
    ordered = time.time()
    simulator.vast.put(f"/api/v0/instances/reboot/{row['id']}/", json={}).raise_for_status()
    row = simulator.await_boot(row["id"], after=ordered)
    poll(lambda: answers(*address(row)))
    lost = ssh(row, key, "nvidia-smi")
    assert (lost.returncode, lost.stdout.strip()) == (6, "No devices were found")
    assert say(row, key, "python -c 'import torch; print(torch.cuda.is_available())'") == "False"


def test_the_listing_shows_what_model_servers_do(simulator: Simulator, key: Key) -> None:
    row = machine(simulator, key, image="vllm", env={"-p 8000:8000": "1"})
    assert simulator.show(row["id"])["gpu_util"] == 0
    say(row, key, f"nohup vllm serve {MODEL} --port 8000 > log 2>&1 < /dev/null &")
    url = f"http://{row['public_ipaddr'].strip()}:{row['ports']['8000/tcp'][0]['HostPort']}"
    poll(lambda: healthy(url))
    assert simulator.show(row["id"])["vmem_usage"] > 1
    seen = Event()
    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(ask_until, seen, url)
        try:
            poll(lambda: simulator.show(row["id"])["gpu_util"] == 97)
        finally:
            seen.set()
        asking.result()
    poll(lambda: simulator.show(row["id"])["gpu_util"] == 0)
    poll(lambda: simulator.show(row["id"])["inet_up_billed"] > 0)


def ask_until(seen: Event, url: str) -> None:
    """One answer takes a tenth of a second, which a look can miss."""
    body = {"model": MODEL, "prompt": "Tell me a long story", "max_tokens": 400}
    while not seen.is_set():
        plain_http.post(f"{url}/v1/completions", json=body).raise_for_status()


def healthy(url: str) -> bool:
    try:
        return plain_http.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False
