"""Every program that stays sets the collector before it loads anything, and keeps it from what is loaded."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAYING = ["api/main.py", "gateway/__main__.py", "simulator/__main__.py", "vault/__main__.py", "worker.py"]


@pytest.mark.parametrize("program", STAYING)
def test_it_is_imported_before_all_else(program: str) -> None:
    body = ast.parse((ROOT / program).read_text()).body
    first = next(each for each in body if isinstance(each, ast.Import | ast.ImportFrom))
    assert isinstance(first, ast.Import)
    assert [each.name for each in first.names] == ["gc_settings"]


def test_the_api_keeps_what_is_loaded() -> None:
    says = "import gc, api.main; print(gc.get_freeze_count() > 100_000, gc.get_threshold()[0] > 10_000)"
    done = subprocess.run([sys.executable, "-c", says], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
