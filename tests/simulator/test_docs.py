"""docs/simulator.md knows every fault and toggle, and the tests that it and docs/leases.md name exist."""

import re
from typing import get_args

from simulator.faults import FaultName
from simulator.settings import MarketSettings, Toggles, WebhookSettings

from .conftest import ROOT

TEXT = (ROOT / "docs/simulator.md").read_text()


def test_every_fault_and_setting_is_told() -> None:
    names = [*get_args(FaultName), *Toggles.model_fields, *MarketSettings.model_fields, *WebhookSettings.model_fields]
    quoted = {word for part in re.findall(r"`([^`\n]+)`", TEXT) for word in re.split(r"[. ]", part)}
    assert sorted(set(names) - quoted) == []


LEASES = (ROOT / "docs/leases.md").read_text()


def known_in(*folders: str) -> set[str]:
    """The files and functions with tests in these folders under tests/."""
    files = [file for folder in folders for file in (ROOT / "tests" / folder).rglob("test_*.py")]
    found = {f"{file.stem}.py" for file in files}
    for file in files:
        found |= set(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE))
    return found


def named_in(text: str) -> set[str]:
    return set(re.findall(r"`(?:[\w/]+/)?(test_\w+(?:\.py)?)`", text))


def test_every_test_that_is_named_exists() -> None:
    named = named_in(TEXT)
    assert len(named) > 60
    assert sorted(named - known_in("simulator", "system", "protocol")) == []


def test_every_schedule_names_tests_that_exist() -> None:
    table = LEASES[LEASES.index("| schedule | system | protocol |") :].split("\n\n", maxsplit=1)[0]
    for line in table.splitlines()[2:]:
        _, _, system, protocol, _ = (cell.strip() for cell in line.split("|"))
        assert named_in(system) | named_in(protocol) or "yet" in system, line
        assert named_in(system) <= known_in("system"), line
        assert named_in(protocol) <= known_in("protocol"), line


def test_every_fault_has_a_test_of_its_own_and_one_of_our_flows_under_it() -> None:
    table = TEXT[TEXT.index("| fault | what happens |") :].split("\n\n", maxsplit=1)[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    told = {word for row in rows for part in re.findall(r"`([^`]+)`", row[0]) for word in part.split()}
    assert sorted(set(get_args(FaultName)) - told) == []
    for fault, _, own, ours in rows:
        assert named_in(own), fault
        assert named_in(own) <= known_in("simulator"), fault
        assert named_in(ours), fault
        assert named_in(ours) <= known_in("system", "protocol"), fault
