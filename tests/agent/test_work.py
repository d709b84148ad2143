"""What the agent counts as work, each row of the table in docs/agent.md on a real machine."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.agent.conftest import Watched
from tests.simulator.conftest import poll

# As much as counts as work, and no more of this computer than that takes.
HALF_A_CORE = """
import time
while True:
    begun = time.process_time()
    while time.process_time() - begun < 0.05:
        pass
    time.sleep(0.05)
"""


@contextmanager
def slow_download(rate: int) -> Iterator[int]:
    """A server that sends so many bytes a second to whoever comes; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        line, _ = listener.accept()
        with line:
            line.recv(1000)
            line.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            while not over.wait(0.05):
                line.sendall(b"x" * (rate // 20))

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    over.set()
    listener.close()


def test_an_idle_machine(watched: Watched) -> None:
    assert watched.is_idle()
    report = watched.next_reports()[-1]
    assert (report["instance_id"], report["status"], report["gpu_metrics"]["utilization"]) == (7, "idle", 0)
    assert report["gpu_metrics"]["gpu_names"] == ["NVIDIA GeForce RTX 4090"]
    assert report["memory"]["used"] > 0
    assert report["disk"]["total"] > report["disk"]["used"] > 0
    assert report["keep_awake_seconds"] is None


def test_a_program_that_computes(watched: Watched) -> None:
    watched.start("exec python3 -c 'while True: pass'")
    work = watched.becomes_busy("of a core")
    assert work["command"] == "python3"


def test_a_script_that_starts_one_short_program_after_the_other(watched: Watched) -> None:
    watched.say("echo 'while :; do python3 -c \"sum(range(2000000))\"; done' > prepare.sh")
    watched.start("exec bash prepare.sh")
    watched.becomes_busy("prepare.sh", "python")


def test_a_program_that_writes_slowly_and_computes_nothing(watched: Watched) -> None:
    watched.say("echo 'while :; do head -c 500000 /dev/zero >> /workspace/out; sleep 0.2; done' > write.sh")
    watched.start("exec bash write.sh")
    watched.becomes_busy("on disk")


def test_a_download_that_is_thrown_away(watched: Watched) -> None:
    """Neither CPU nor disk: only the connection tells."""
    with slow_download(400_000) as port:
        watched.open_way(port)
        watched.start(f"exec curl -s -o /dev/null http://host.simulator:{port}/")
        assert watched.becomes_busy("network")["command"] == "curl"


def test_a_program_in_tmux_works_and_an_idle_shell_in_it_does_not(watched: Watched) -> None:
    watched.say("tmux new-session -d -s work")
    assert watched.is_idle()
    watched.say("tmux send-keys -t work 'python3 -c \"while True: pass\"' Enter")
    watched.becomes_busy("python3")


def test_what_waits_is_no_work(watched: Watched) -> None:
    watched.start("exec sleep 1000")
    watched.start("exec python3 -m http.server 9000")
    watched.start("exec tail -f /dev/null")
    watched.say("vllm --help >/dev/null 2>&1 || true")
    for waiting in ("[s]leep 1000", "[h]ttp.server", "[t]ail -f"):
        watched.runs(waiting)
    poll(lambda: watched.say("curl -s -o /dev/null http://127.0.0.1:9000/ && echo up || true"))  # it has begun to wait
    assert watched.is_idle()


@pytest.mark.parametrize("ours", ["DUMONT_OURS=1 python3 busy.py", "python3 ~/.dumont/busy.py"])
def test_what_the_control_plane_runs_there_is_no_work(watched: Watched, ours: str) -> None:
    watched.say(f"mkdir -p ~/.dumont && echo '{HALF_A_CORE}' | tee busy.py > ~/.dumont/busy.py")
    watched.start(ours)
    watched.runs("[b]usy.py")
    assert watched.is_idle()


def test_the_load_of_the_gpu(watched: Watched) -> None:
    number = watched.row["id"]
    watched.simulator.control.post(f"/simulator/machines/{number}/gpu", json={"utilization": 73}).raise_for_status()
    assert watched.next_reports()[-1]["gpu_metrics"]["utilization"] == 73


def test_somebody_who_types(watched: Watched) -> None:
    watched.say("tmux new-session -d -s typing")
    assert watched.is_idle()
    watched.start("while sleep 1; do tmux send-keys -t typing x; done")  # the kernel notes it every 8 s
    watched.becomes_busy("somebody typed")


@pytest.mark.parametrize(("content", "least", "most"), [("90", 5300, 5400), ("2099-01-01T00:00:00Z", 2.5e6, 2.6e6)])
def test_a_file_keeps_the_machine_awake(watched: Watched, content: str, least: float, most: float) -> None:
    watched.say(f"mkdir -p ~/.dumont && echo {content} > ~/.dumont/keep_awake")
    assert least < watched.next_reports()[-1]["keep_awake_seconds"] <= most
    watched.say("rm ~/.dumont/keep_awake")
    assert watched.next_reports()[-1]["keep_awake_seconds"] is None


def test_no_command_line_is_told(watched: Watched) -> None:
    """It may hold a password."""
    watched.start("exec python3 -c 'while True: pass' --password=sesame")
    assert "sesame" not in str(watched.becomes_busy("python3"))


@pytest.mark.parametrize(
    "program", [pytest.param("exec sleep 1000", marks=pytest.mark.long), "exit 6", "echo '[N/A], RTX, 1, 2, 3'", ""]
)
def test_a_gpu_that_cannot_be_read_is_unknown_and_not_idle(watched: Watched, program: str) -> None:
    """On real machines: a GPU that fell off the bus, a driver that is gone, a sliced GPU."""
    watched.say(f"rm /usr/bin/nvidia-smi; echo '#!/bin/sh\n{program}' > nvidia-smi; chmod +x nvidia-smi")
    watched.say('[ -n "$(sed 1d nvidia-smi)" ] && cp nvidia-smi /usr/bin/ || true')
    said = poll(lambda: (now := watched.next_reports(1)[-1]["gpu_metrics"]).get("unknown_seconds", 0) > 1 and now)
    assert "nvidia-smi" in said["error"]
