"""Where namespaces are not allowed: machines as plain folders, without isolation, and saying so."""

from pathlib import Path

from tests.ports import free_port

from ..conftest import Key, poll, running
from ..processes import processes_in
from ..shells import fetched, machine, say, sftp

MODEL = "Qwen/Qwen2.5-0.5B"


def test_a_machine_without_namespaces(tmp_path: Path, key: Key) -> None:
    with running(tmp_path / "data", "--no-namespaces") as simulator:
        assert "no isolation" in simulator.control.get("/simulator/info").json()["machines"]
        inside = free_port()  # without namespaces it is one of the computer's own
        env = {f"-p {inside}:{inside}": "1", "TEST_FOLDER": str(simulator.folder)}
        row = machine(simulator, key, image="vllm", env=env, onstart="echo started")
        home = simulator.folder / "machines" / str(row["id"]) / "root/root"
        assert say(row, key, "pwd; echo $HOME") == f"{home}\n{home}"
        assert say(row, key, "nvidia-smi -L").startswith("GPU 0")
        assert say(row, key, "python -c 'import torch; print(torch.cuda.is_available())'") == "True"
        (tmp_path / "f").write_text("text")
        sftp(row, key, f"put f {home}/f\n", tmp_path)
        assert say(row, key, "cat f") == "text"
        say(row, key, f"nohup vllm serve {MODEL} --host 127.0.0.1 --port {inside} > log 2>&1 < /dev/null &")
        port = row["ports"][f"{inside}/tcp"][0]["HostPort"]
        assert poll(lambda: MODEL in (fetched(f"http://{row['public_ipaddr'].strip()}:{port}/v1/models") or ""))
        simulator.vast.put(f"/api/v0/instances/{row['id']}/", json={"state": "stopped"}).raise_for_status()
        simulator.await_status(row["id"], "exited")
        poll(lambda: processes_in(simulator.folder) == [])
        assert (home / "f").exists()
        simulator.vast.delete(f"/api/v0/instances/{row['id']}/").raise_for_status()
        poll(lambda: not home.exists())
        simulator.terminate()
