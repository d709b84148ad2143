"""Which parts run, with which settings."""

from pathlib import Path

import pytest

from cli.errors import CommandRefused
from cli.up.plan import PARTS, Plan, chosen_parts
from cli.up.ports import DEFAULTS
from settings import Settings

SECRETS = {"secret_keys": "k" * 40, "postgres_password": "p"}


def plan(folder: Path, *without: str, speed: str = "fast") -> Plan:
    return Plan(folder, DEFAULTS, SECRETS, frozenset(PARTS) - set(without), speed)


def test_everything_is_simulated_and_fast_by_default(tmp_path: Path) -> None:
    environment = plan(tmp_path).environment()
    assert environment["DUMONT_SIMULATED"] == "true"
    assert environment["DUMONT_CLOUD_PACE"] == "0.02"
    assert environment["DUMONT_VAST_URL"] == "http://127.0.0.1:8090"


def test_realistic_keeps_the_settings_of_the_live_cloud(tmp_path: Path) -> None:
    assert "DUMONT_CLOUD_PACE" not in plan(tmp_path, speed="realistic").environment()


def test_what_the_user_set_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("DUMONT_CLOUD_PACE=0.5\nDUMONT_SWEEP_SECONDS=9\nOTHER=x\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DUMONT_SWEEP_SECONDS", "7")
    environment = plan(tmp_path).environment()
    assert environment["DUMONT_CLOUD_PACE"] == "0.5"
    assert environment["DUMONT_SWEEP_SECONDS"] == "7"
    assert "OTHER" not in environment


def test_every_variable_is_a_setting(tmp_path: Path) -> None:
    names = {name.removeprefix("DUMONT_").lower() for name in plan(tmp_path).environment()}
    assert names <= set(Settings.model_fields)


def test_a_key_of_a_real_cloud_leaves_the_simulator_out() -> None:
    assert "simulator" not in chosen_parts((), {"DUMONT_VAST_API_KEY": "key"})


def test_who_waited_for_a_part_left_out_does_not_wait(tmp_path: Path) -> None:
    specs = {spec.name: spec for spec in plan(tmp_path, "simulator", "temporal").specs()}
    assert set(specs) == {"postgres", "migrations", "vault", "worker", "gateway", "api"}
    assert specs["api"].after == ("migrations",)


def test_the_command_line_of_the_database_shows_no_password(tmp_path: Path) -> None:
    secret = {**SECRETS, "postgres_password": "very-secret"}
    specs = Plan(tmp_path, DEFAULTS, secret, frozenset(PARTS)).specs()
    assert not [spec.name for spec in specs if "very-secret" in " ".join(spec.command)]


@pytest.mark.parametrize(
    ("name", "needs"), [("postgres", "DUMONT_DATABASE_URL"), ("temporal", "DUMONT_TEMPORAL_ADDRESS")]
)
def test_leaving_out_what_others_need_asks_for_another(name: str, needs: str) -> None:
    with pytest.raises(CommandRefused, match=needs):
        chosen_parts((name,), {})
    assert name not in chosen_parts((name,), {needs: "there"})


def test_an_unknown_part_is_refused_with_the_list() -> None:
    with pytest.raises(CommandRefused, match="worker"):
        chosen_parts(("wroker",), {})
