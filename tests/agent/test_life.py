"""The agent's own life: it begins at once, is there once, comes back, waits, and says little about itself."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from activities.machines.agent_program import program
from activities.machines.agents import NO_PYTHON
from tests.agent.conftest import INTERVAL, Watched
from tests.long_runs import sampled
from tests.simulator.conftest import poll

PYTHONS = [sys.executable, *sorted(map(str, Path.home().glob(".pyenv/versions/3.*/bin/python3")))]
SUITABLE = [each for each in PYTHONS if "3.6." not in each and "3.7." not in each]


def test_an_installation_is_done_once(watched: Watched) -> None:
    first = watched.agent_pid()
    assert watched.install() == f"running {first}"
    assert watched.agent_pid() == first
    watched.is_alone()
    watched.is_alone("[d]umont/agent/watch")
    assert watched.say("stat -c %a ~/.dumont/agent/settings.json ~/.dumont/agent/agent.pyz") == "600\n600"
    assert watched.say("ls ~/.dumont | grep -c new. || true") == "0"


def test_several_installations_at_once_leave_one_agent(bare: Watched) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: bare.try_install(), range(4)))
    assert {each.returncode for each in done} == {0}, done
    assert bare.next_reports()
    bare.is_alone()


def test_a_machine_without_python_says_so(bare: Watched) -> None:
    bare.say("rm /usr/bin/python3")
    done = bare.try_install()
    assert (done.returncode, done.stderr.strip().splitlines()[-1]) == (NO_PYTHON, "there is no Python 3.8 or later")


def test_an_installation_that_was_cut_off_is_done_again(bare: Watched) -> None:
    bare.say("mkdir -p ~/.dumont/agent; echo half > ~/.dumont/agent/agent.pyz; echo 99999 > ~/.dumont/agent/lock")
    assert bare.install().startswith("running ")
    assert bare.next_reports()


def test_new_settings_replace_the_agent(watched: Watched) -> None:
    first = watched.agent_pid()
    assert watched.install(instance_id=8) != f"running {first}"
    assert watched.next_reports(1)[-1]["instance_id"] == 8
    watched.is_alone()


def test_an_older_agent_is_replaced(watched: Watched) -> None:
    """Whatever it was: here one that does nothing any more."""
    first = watched.agent_pid()
    watched.say("echo broken > ~/.dumont/agent/agent.pyz")
    assert watched.install() != f"running {first}"
    assert watched.next_reports()


def test_it_begins_again_with_the_container_and_reports_at_once(watched: Watched) -> None:
    before = watched.next_reports(1)[-1]
    number = watched.row["id"]
    watched.simulator.control.post(f"/simulator/machines/{number}/restart").raise_for_status()
    after = poll(lambda: next((each for each in watched.hub.reports if each["boot_id"] != before["boot_id"]), None))
    assert after["observed_seconds"] < INTERVAL
    assert after["gpu_metrics"]["error"] == "not looked yet"
    watched.boot_again()
    row = watched.simulator.show(number)
    assert after["public_ipaddr"] == row["public_ipaddr"].strip()
    assert after["ports"]["22/tcp"] == int(row["ports"]["22/tcp"][0]["HostPort"])


def test_kill_9(watched: Watched) -> None:
    first = watched.agent_pid()
    watched.say(f"kill -9 {first}")
    poll(lambda: watched.agent_pid() != first)
    assert watched.next_reports()
    boots = {each["boot_id"] for each in watched.hub.reports}
    assert len(boots) == 1


def test_one_that_crashes_at_once_is_tried_twice_and_not_for_ever(watched: Watched) -> None:
    first = watched.agent_pid()
    watched.say(f"echo broken > ~/.dumont/agent/agent.pyz; kill -9 {first}")
    poll(lambda: watched.say("pgrep -fc [d]umont/agent/watch || true") == "0")
    assert watched.install().startswith("running ")
    assert watched.next_reports()


def test_the_control_plane_away_and_back(watched: Watched) -> None:
    """What happened meanwhile is told when it is back."""
    watched.hub.close()
    watched.start("exec python3 -c 'while True: pass'")
    poll(lambda: "python3" in watched.say("cat ~/.dumont/agent/report.json 2>/dev/null || true"))
    watched.say("pkill -f '[w]hile True'")
    watched.hub.forget()
    watched.hub.open()
    report = poll(lambda: watched.hub.reports and watched.hub.reports[0])
    assert [each["command"] for each in report["busy"]] == ["python3"]
    assert report["observed_seconds"] > 2 * INTERVAL
    assert int(watched.say("wc -l < ~/.dumont/agent/agent.log")) < 5  # not a line a try
    poll(lambda: watched.say("ls ~/.dumont/agent/report.json 2>/dev/null || echo none") == "none")


def test_a_refused_token(watched: Watched) -> None:
    watched.hub.status = 401
    poll(lambda: "refused with 401" in watched.say("cat ~/.dumont/agent/agent.log"))
    watched.hub.status = 200
    assert watched.next_reports(1)


def test_without_an_address_of_ours_reports_are_left_to_be_fetched(bare: Watched) -> None:
    bare.install(base_url="")
    poll(lambda: bare.say("cat ~/.dumont/agent/report.json 2>/dev/null || true"))
    bare.start("exec python3 -c 'while True: pass'")
    poll(lambda: "used" in bare.say("cat ~/.dumont/agent/report.json"))
    bare.say("pkill -f '[w]hile True'")
    # Taken: what was in it is not told again. One that is taken while the next is being left counts for nothing.
    take = "mv ~/.dumont/agent/report.json taken 2>/dev/null && cat taken || true"
    assert "used" in bare.say(take)
    poll(lambda: '"busy": []' in bare.say(take))


def test_a_word_to_those_at_the_terminals_is_said_once(watched: Watched) -> None:
    watched.say("tmux new-session -d -s here")
    watched.hub.answer = {"action": "prepare_hibernate", "message": "Pauses at 12:00 UTC."}
    poll(lambda: "Pauses at 12:00" in watched.say("tmux capture-pane -p -t here"))
    watched.next_reports(3)
    assert watched.say("tmux capture-pane -p -t here").count("Pauses at 12:00") == 1


def test_what_does_harm_is_not_obeyed(watched: Watched) -> None:
    watched.hub.answer = {"action": "shutdown", "message": "now"}
    poll(lambda: "asked to shutdown" in watched.say("cat ~/.dumont/agent/agent.log"))
    assert watched.next_reports()


def test_the_platform_rewrites_the_keys(watched: Watched) -> None:
    watched.simulator.control.post("/simulator/keys/rewrite").raise_for_status()
    assert watched.next_reports()


def test_the_log_is_bounded(watched: Watched) -> None:
    watched.say("head -c 200000 /dev/zero > ~/.dumont/agent/agent.log")
    watched.say(f"kill -9 {watched.agent_pid()}")
    assert watched.next_reports()
    sizes = watched.say("stat -c %s ~/.dumont/agent/agent.log ~/.dumont/agent/agent.log.1").split()
    assert int(sizes[0]) < 1000
    assert int(sizes[1]) == 200_000


@pytest.mark.parametrize("python", sampled(SUITABLE, 3))
def test_it_runs_on_every_python_there_is(tmp_path: Path, python: str) -> None:
    """On this computer, with nobody to report to: it leaves its reports."""
    home = tmp_path / ".dumont/agent"
    home.mkdir(parents=True)
    (home / "settings.json").write_text(
        '{"base_url": "", "token": "", "instance_id": 3, "gpu_active": 5, "interval": 0.05, "new": 1}'
    )
    (home / "agent.pyz").write_bytes(program())
    agent = subprocess.Popen([python, "-I", "-S", str(home / "agent.pyz")], env={"HOME": str(tmp_path)})
    try:
        poll((home / "report.json").exists)
        assert (
            subprocess.run([python, "-I", "-S", str(home / "agent.pyz")], env={"HOME": str(tmp_path)}).returncode == 0
        )
    finally:
        agent.terminate()
        assert agent.wait(120) == 0
