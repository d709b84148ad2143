"""The documents know every setting, and what they name is there."""

import re
from pathlib import Path

from settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))


def test_every_setting_is_told_and_none_that_is_not_there() -> None:
    told = set(re.findall(r"`DUMONT_([A-Z_]+)`", (ROOT / "docs/operating.md").read_text()))
    ours = {name.upper() for name in Settings.model_fields}
    for_commands = {"API", "TOKEN", "PASSWORD", "CHECKLIST_VAST_KEY"}
    assert sorted(ours - told) == []
    assert sorted(told - ours - for_commands) == []


def test_the_tests_that_documents_name_exist() -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    known = {file.stem for file in files}
    for file in files:
        known |= set(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE))
    named = {name: doc.name for doc in DOCS for name in re.findall(r"\b(test_\w+)\b", doc.read_text())}
    assert {name: doc for name, doc in named.items() if not any(each.startswith(name) for each in known)} == {}


def test_the_files_of_ours_that_documents_name_exist() -> None:
    rooms = "|".join(each.name for each in ROOT.iterdir() if each.is_dir() and not each.name.startswith("."))
    named = {
        path: doc.name for doc in DOCS for path in re.findall(rf"`((?:{rooms})/[\w/.-]+\.\w+)[:`]", doc.read_text())
    }
    missing = {path: doc for path, doc in named.items() if not any((ROOT / at / path).exists() for at in ("", "tests"))}
    assert missing == {}
