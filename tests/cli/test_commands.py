"""The everyday commands against a whole system: what a person types, sees and gets back as exit status."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import plain_http
from tests.cli.conftest import Dumont
from tests.cli.installation import Installation
from tests.simulator.conftest import poll

MODEL = "Qwen/Qwen2.5-0.5B-Instruct"


def test_deploy_shows_the_price_and_ends_with_an_endpoint_that_answers(dumont: Dumont) -> None:
    ran = dumont("deploy", MODEL, "--gpu", "rtx_4090", "-y", "--json")
    assert ran.returncode == 0, ran.stderr
    status = json.loads(ran.stdout)
    assert "$" in ran.stderr
    assert "RTX 4090" in ran.stderr
    assert f"curl {status['endpoint']}" in ran.stderr
    served = plain_http.get(f"{status['endpoint']}/v1/models", trust_env=False).json()
    assert served["data"][0]["id"] == MODEL
    followed = dumont("follow", status["deploy_id"])
    assert (followed.returncode, status["endpoint"] in followed.stderr) == (0, True), followed.stderr
    assert dumont("stop", status["deploy_id"]).returncode == 0


def test_deploy_without_a_terminal_asks_for_a_flag_and_rents_nothing(dumont: Dumont, whole: Installation) -> None:
    before = rented(whole)
    ran = dumont("deploy", MODEL)
    assert (ran.returncode, "add -y" in ran.stderr) == (1, True), ran.stderr
    assert rented(whole) == before


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (("--gpu", "RTX 9999"), "RTX 9999"),
        (("--max-price", "0.0001"), "--max-price"),
        (("--type", "poetry"), "llm, speech, embeddings"),
    ],
)
def test_what_nobody_offers_is_said_and_not_rented(
    dumont: Dumont, whole: Installation, wish: tuple[str, str], said: str
) -> None:
    before = rented(whole)
    ran = dumont("deploy", MODEL, "-y", *wish)
    assert (ran.returncode, said in ran.stderr, "Traceback" in ran.stderr) == (1, True, False), ran.stderr
    assert rented(whole) == before


def test_login_keeps_a_token_that_only_its_owner_can_read(dumont: Dumont, tmp_path: Path) -> None:
    refused = dumont("login", "--email", "demo@dumont.local", "--password", "wrong-one")
    assert refused.returncode == 1
    ran = dumont("login", "--email", "demo@dumont.local", "--password", "dumont123")
    assert ran.returncode == 0, ran.stderr
    kept = Path(ran.stderr.rstrip().rsplit(" ", 1)[1].removesuffix("."))
    assert kept.stat().st_mode & 0o077 == 0


def test_doctor_finds_everything_running(dumont: Dumont) -> None:
    ran = poll(lambda: (ran := dumont("doctor")).returncode == 0 and ran)  # a busy computer may be too slow for it
    assert ran.stdout.count("healthy") == 4
    assert "blocks" not in ran.stdout


@pytest.mark.timeout(1200)
def test_the_checklist_passes_and_is_filled_in(dumont: Dumont, whole: Installation, tmp_path: Path) -> None:
    filled = tmp_path / "filled.md"
    ran = dumont("checklist", "--output", str(filled))
    assert ran.returncode == 0, filled.read_text() if filled.exists() else ran.stderr
    assert "33 OK, 0 FALHA" in ran.stdout
    assert filled.read_text().count("[x] OK") == 33
    assert poll(lambda: books(whole)["alive"] == 0)


def rented(installation: Installation) -> int:
    """How many machines there ever were, by the books of the simulated cloud."""
    return len(books(installation)["machines"])


def books(installation: Installation) -> dict[str, Any]:
    """What the simulated cloud has rented out."""
    address = f"{installation.read()['simulator']}/simulator/books"
    found: dict[str, Any] = plain_http.get(address, trust_env=False).json()
    return found
