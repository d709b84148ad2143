"""docs/simulator.md knows every fault and toggle, and the tests that it names exist."""

import re
from typing import get_args

from simulator.faults import FaultName
from simulator.settings import Market, Toggles, Webhooks

from .conftest import ROOT

TEXT = (ROOT / "docs/simulator.md").read_text()


def test_every_fault_and_setting_is_told() -> None:
    names = [*get_args(FaultName), *Toggles.model_fields, *Market.model_fields, *Webhooks.model_fields]
    quoted = {word for part in re.findall(r"`([^`\n]+)`", TEXT) for word in re.split(r"[. ]", part)}
    assert sorted(set(names) - quoted) == []


def test_every_test_that_is_named_exists() -> None:
    files = list((ROOT / "tests/simulator").glob("test_*.py"))
    known = {f"{file.stem}.py" for file in files}
    for file in files:
        known |= set(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE))
    named = set(re.findall(r"`(?:[\w/]+/)?(test_\w+(?:\.py)?)`", TEXT))
    assert len(named) > 40
    assert sorted(named - known) == []
