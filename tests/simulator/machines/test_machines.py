"""Machines are real: processes, files, network and SSH of their own."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from tests import plain_http

from ..conftest import HOUR, Key, Simulator, poll
from ..shells import Row, address, answers, fetched, machine, options, order, say, sftp, ssh


@pytest.fixture(scope="module")
def box(shared: Simulator, key: Key) -> Iterator[Row]:
    """One machine for the tests that only look."""
    row = machine(shared, key, env={"-p 8000:8000": "1", "GREETING": "hello"}, onstart="echo onstart $GREETING")
    yield row
    shared.control.post("/simulator/reset")


def test_what_a_login_finds(shared: Simulator, box: Row, key: Key) -> None:
    assert say(box, key, "id -u; hostname; pwd; echo $HOME; echo -$CONTAINER_ID-") == (
        f"0\nC.{box['id']}\n/root\n/root\n--"
    )
    environment = say(box, key, "tr '\\0' '\\n' < /proc/1/environ").splitlines()
    port = box["ports"]["8000/tcp"][0]["HostPort"]
    wanted = {f"CONTAINER_ID={box['id']}", f"VAST_CONTAINERLABEL=C.{box['id']}", "GPU_COUNT=1", "GREETING=hello",
              f"VAST_TCP_PORT_8000={port}", f"PUBLIC_IPADDR={box['public_ipaddr'].strip()}"}  # fmt: skip
    assert wanted <= set(environment)
    assert "hasbooted" in say(box, key, "ls -A /root")
    assert say(box, key, "cat /root/onstart.sh; ls -d /workspace /.launch") == (
        "echo onstart $GREETING\n/.launch\n/workspace"
    )
    assert ".pyenv" not in say(box, key, "ls -A /root")
    processes = say(box, key, "ls -d /proc/[0-9]*").splitlines()
    assert "/proc/1" in processes
    assert len(processes) < 10


def test_exit_codes_streams_and_signals(box: Row, key: Key) -> None:
    done = ssh(box, key, "cat; echo wrong >&2; exit 7", stdin="right\n")
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (7, "right\n", "wrong")
    assert ssh(box, key, "kill -9 $$").returncode == 255
    big = ssh(box, key, "wc -c; head -c 3000000 /dev/zero | tr '\\0' x", stdin="y" * 2_000_000)
    assert big.stdout.startswith("2000000")
    assert len(big.stdout) == 3_000_008


def test_gpu_tools(shared: Simulator, box: Row, key: Key) -> None:
    load = {"utilization": 73, "memory_used_mb": 1234}
    shared.control.post(f"/simulator/machines/{box['id']}/gpu", json=load).raise_for_status()
    query = "nvidia-smi --query-gpu=name,utilization.gpu,memory.used,memory.total --format=csv"
    assert say(box, key, query) == (
        "name, utilization.gpu [%], memory.used [MiB], memory.total [MiB]\n"
        "NVIDIA GeForce RTX 4090, 73 %, 1234 MiB, 24564 MiB"
    )
    assert say(box, key, f"{query},noheader,nounits") == "NVIDIA GeForce RTX 4090, 73, 1234, 24564"
    assert say(box, key, "nvidia-smi -L").startswith("GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-")
    assert "RTX 4090" in say(box, key, "nvidia-smi")
    assert say(box, key, "python -c 'import torch; print(torch.cuda.is_available())'") == "True"
    assert shared.show(box["id"])["gpu_util"] == 73
    shared.control.post(f"/simulator/machines/{box['id']}/gpu", json={"utilization": 0, "memory_used_mb": 0})


async def test_a_terminal_resizes_and_hangs_up(box: Row, key: Key) -> None:
    host, port = address(box)
    async with asyncssh.connect(host, port, username="root", client_keys=[key.file], known_hosts=None) as connection:
        await connection.run("touch ~/.no_auto_tmux", check=True)
        size = "while sleep 0.05; do stty size; done"
        async with connection.create_process(
            f"tty; {size}", term_type="xterm", term_size=(80, 24), encoding="utf-8"
        ) as program:
            assert (await program.stdout.readline()).startswith("/dev/pts/")
            assert (await program.stdout.readline()).strip() == "24 80"
            program.change_terminal_size(132, 43)
            while (await program.stdout.readline()).strip() != "43 132":
                pass
            program.close()
        listing = "ps -eo args | grep '[s]tty size' || true"
        shell = await connection.create_process(term_type="xterm")
        shell.stdin.write("echo $((40+2)); exit 3\n")
        await shell.wait_closed()
        assert shell.exit_status == 3
    poll(lambda: say(box, key, listing) == "")


def test_detached_processes_outlive_the_session(box: Row, key: Key) -> None:
    say(box, key, "setsid nohup sleep 4321 > /dev/null 2>&1 < /dev/null &")
    assert "sleep 4321" in say(box, key, "ps -eo args")
    say(box, key, "pkill -f '[s]leep 4321'")
    poll(lambda: "defunct" not in say(box, key, "ps -eo args"))


def test_sftp_sees_the_machines_files(box: Row, key: Key, tmp_path: Path) -> None:
    (tmp_path / "here.bin").write_bytes(bytes(range(256)) * 5000)
    say(box, key, "ln -sfn /etc /workspace/link; mkdir -p /workspace/d")
    batch = (
        "put here.bin /workspace/d/there.bin\nget /workspace/d/there.bin back.bin\nget /workspace/link/hostname.none\n"
    )
    sftp(box, key, batch, tmp_path)
    assert (tmp_path / "back.bin").read_bytes() == (tmp_path / "here.bin").read_bytes()
    batch = "ls -l /workspace/d\nls /workspace/link\nrename /workspace/d/there.bin /workspace/x\n"
    listed = sftp(box, key, batch, tmp_path)
    assert "1280000" in listed.stdout
    assert "passwd" in listed.stdout
    assert say(box, key, "cat /etc/shadow") == "root:*:19000:0:99999:7:::"  # its own, none of this computer's
    assert say(box, key, "stat -c %s /workspace/x; cat /workspace/link/passwd | wc -l") == "1280000\n3"


async def test_forwards_both_ways(box: Row, key: Key) -> None:
    host, port = address(box)
    say(box, key, "setsid python3 -m http.server 8123 --bind 127.0.0.1 > /dev/null 2>&1 < /dev/null &")
    async with asyncssh.connect(host, port, username="root", client_keys=[key.file], known_hosts=None) as connection:
        poll(lambda: "8123" in say(box, key, "cat /proc/net/tcp | grep -i :1FBB && echo 8123 || true"))
        local = await connection.forward_local_port("127.0.0.1", 0, "localhost", 8123)
        async with plain_http.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{local.get_port()}/")).status_code == 200
        await connection.forward_remote_port("127.0.0.1", 9191, "127.0.0.1", local.get_port())
        fetch = "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:9191/').status)\""
        assert str((await connection.run(fetch, check=True)).stdout).strip() == "200"


async def test_an_interactive_login_lands_in_tmux(box: Row, key: Key) -> None:
    host, port = address(box)
    async with asyncssh.connect(host, port, username="root", client_keys=[key.file], known_hosts=None) as connection:
        await connection.run("rm -f ~/.no_auto_tmux", check=True)
        if (await connection.run("command -v tmux")).exit_status:
            pytest.skip("this computer has no tmux for machines to share")
        async with connection.create_process(term_type="xterm", encoding="utf-8") as shell:
            poll_tmux = "tmux list-sessions -F '#{session_name}' 2>/dev/null | head -1"
            while str((await connection.run(poll_tmux)).stdout).strip() != "ssh_tmux":
                pass
            shell.stdin.write("tmux kill-server\n")
            await shell.wait_closed()


def test_two_machines_listen_on_the_same_port_inside(simulator: Simulator, key: Key) -> None:
    serve = "mkdir /srv/w; cd /srv/w; hostname > name; exec python3 -m http.server 8000 --bind 0.0.0.0"
    rows = [machine(simulator, key, env={"-p 8000:8000": "1"}, onstart=serve) for _ in range(2)]
    urls = [f"http://{row['public_ipaddr'].strip()}:{row['ports']['8000/tcp'][0]['HostPort']}/name" for row in rows]
    names = [f"C.{row['id']}" for row in rows]
    poll(lambda: [fetched(url) for url in urls] == names)


def test_stop_keeps_files_recycle_and_destroy_wipe(simulator: Simulator, key: Key) -> None:
    row = machine(simulator, key, onstart="echo started >> /workspace/starts")
    number, folder = row["id"], simulator.folder / "machines" / str(row["id"])
    say(row, key, "echo mine > /workspace/file; echo tool > /usr/local/bin/tool; setsid sleep 777 > /dev/null 2>&1 &")
    poll(lambda: say(row, key, "cat /workspace/starts || true") == "started")  # it runs beside the SSH server
    host_key = (folder / "ssh_host_ed25519_key").read_bytes()
    for state, status in (("stopped", "exited"), ("running", "running")):
        simulator.vast.put(f"/api/v0/instances/{number}/", json={"state": state}).raise_for_status()
        row = simulator.await_status(number, status)
    poll(lambda: answers(*address(row)))
    poll(lambda: say(row, key, "cat /workspace/starts") == "started\nstarted")
    assert say(row, key, "cat /workspace/file /usr/local/bin/tool") == "mine\ntool"
    assert "sleep 777" not in say(row, key, "ps -eo args")
    assert (folder / "ssh_host_ed25519_key").read_bytes() == host_key
    simulator.vast.put(f"/api/v0/instances/recycle/{number}/", json={}).raise_for_status()
    simulator.await_status(number, "running")
    poll(lambda: answers(*address(row)))
    poll(lambda: say(row, key, "ls /workspace") == "starts")
    simulator.vast.delete(f"/api/v0/instances/{number}/").raise_for_status()
    poll(lambda: not folder.exists())
    assert not answers(*address(row))


def test_links_stay_in_the_machine(simulator: Simulator, key: Key) -> None:
    row = machine(simulator, key)
    say(row, key, "mv ~/.ssh /workspace/keys && ln -s /workspace/keys ~/.ssh && ln -s /usr/../../tmp/x /workspace/x")
    for state, status in (("stopped", "exited"), ("running", "running")):
        simulator.vast.put(f"/api/v0/instances/{row['id']}/", json={"state": state}).raise_for_status()
        row = simulator.await_status(row["id"], status)
    poll(lambda: answers(*address(row)))
    assert say(row, key, "readlink ~/.ssh") == "/workspace/keys"


def test_keys_attached_and_detached(simulator: Simulator, key: Key) -> None:
    row = simulator.await_status(simulator.rent(), "running")
    number = row["id"]
    poll(lambda: answers(*address(row)))
    assert ssh(row, key, "true").returncode == 255
    attached = simulator.vast.post(f"/api/v0/instances/{number}/ssh/", json={"ssh_key": key.public + "\n"}).json()
    assert say(row, key, "echo in") == "in"
    simulator.vast.delete(f"/api/v0/instances/{number}/ssh/{attached['key']['id']}/").raise_for_status()
    assert ssh(row, key, "true").returncode == 255
    assert simulator.vast.post("/api/v0/ssh/", json={"ssh_key": "ssh-ed25519 nonsense"}).status_code == 400
    simulator.vast.post("/api/v0/ssh/", json={"ssh_key": key.public}).raise_for_status()
    later = simulator.await_status(simulator.rent(), "running")
    poll(lambda: answers(*address(later)))
    say(later, key, f"echo 'command=\"echo forced\" {key.public}' > ~/.ssh/authorized_keys")
    assert say(later, key, "true") == "forced"


def test_ssh_through_the_proxy_and_refusing(simulator: Simulator, key: Key) -> None:
    simulator.fault("machine:sshd", "refuses", match="closed")
    row = machine(simulator, key)
    poll(lambda: answers(row["ssh_host"], row["ssh_port"]))
    argv = ["ssh", *options(key), "-p", str(row["ssh_port"]), f"root@{row['ssh_host']}", "hostname"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == f"C.{row['id']}"
    closed = simulator.await_status(simulator.rent(label="closed"), "running")
    time.sleep(0.3)  # three times the clock after which it would answer
    assert not answers(*address(closed))


def test_logs_and_a_machine_in_entrypoint_mode(simulator: Simulator) -> None:
    number = simulator.rent(runtype="args", onstart="/bin/sh", args=["-c", "echo out; echo err >&2; sleep 0.2; exit 3"])
    simulator.await_status(number, "exited")
    assert plain_http.get(logs_after(simulator, number, HOUR)).status_code == 404
    url = logs_after(simulator, number, 0.1)
    poll(lambda: plain_http.get(url).text == "out\nerr\n")


def logs_after(simulator: Simulator, number: int, seconds: float) -> str:
    """Where its log will be after this time."""
    simulator.control.patch("/simulator/settings", json={"clocks": {"logs": seconds}}).raise_for_status()
    answer = simulator.vast.put(f"/api/v0/instances/request_logs/{number}/", json={"tail": "10"})
    return str(answer.raise_for_status().json()["result_url"])


def test_the_way_out(simulator: Simulator, key: Key) -> None:
    row = machine(simulator, key)
    port = int(simulator.url.rsplit(":", 1)[1])
    fetch = f"python3 -c \"import urllib.request as u; print(u.urlopen('http://host.simulator:{port}/health').status)\""
    assert ssh(row, key, fetch).returncode == 1
    simulator.control.patch("/simulator/settings", json={"way_out": [port]}).raise_for_status()
    poll(lambda: ssh(row, key, fetch).stdout.strip() == "200")


def test_a_machine_whose_files_are_in_the_way_harms_nobody_but_itself(simulator: Simulator, key: Key) -> None:
    row, other = machine(simulator, key), simulator.rent()
    say(row, key, "rm -rf ~/.ssh; touch ~/.ssh")
    simulator.control.post("/simulator/keys/rewrite").raise_for_status()
    clocks = {"clocks": {"rewrite_keys": 0.2}}
    simulator.control.patch("/simulator/settings", json=clocks).raise_for_status()
    order(simulator, row["id"], "stopped")
    simulator.await_status(row["id"], "exited")
    order(simulator, row["id"], "running")
    poll(lambda: "Error response from daemon" in (simulator.show(row["id"])["status_msg"] or ""))
    assert simulator.show(row["id"])["actual_status"] == "exited"
    simulator.await_status(other, "running")
    order(simulator, other, "stopped")
    simulator.fault("PUT /api/v0/instances/", "unavailable", times=1, delay_seconds=0.5)
    order(simulator, other, "running")
    simulator.await_status(other, "running")  # a queued start fires: the cloud's clock goes on
