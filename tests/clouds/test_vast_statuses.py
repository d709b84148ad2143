"""What Vast.ai's status words mean to us (clouds.md A5)."""

import pytest

from clients.vast_types import VastInstance
from clouds.vast_machines import state_of
from domain.machines.machines import Seen


@pytest.mark.parametrize(
    ("actual", "intended", "seen"),
    [
        (None, "running", Seen.BOOTING),
        ("created", "running", Seen.BOOTING),
        ("loading", "running", Seen.BOOTING),
        ("loading", "stopped", Seen.BOOTING),
        ("running", "running", Seen.UP),
        ("running", "stopped", Seen.STOPPING),
        ("stopping", "stopped", Seen.STOPPING),
        ("exited", "stopped", Seen.STOPPED),
        ("exited", "running", Seen.STOPPED),
        ("frozen", "frozen", Seen.STOPPED),
        ("offline", "running", Seen.OFFLINE),
        ("dreaming", "running", Seen.UNKNOWN),
    ],
)
def test_a_status_word_is_read_with_what_is_intended(actual: str | None, intended: str, seen: Seen) -> None:
    row = {"id": 1, "label": "x", "actual_status": actual, "intended_status": intended}
    assert state_of(VastInstance.model_validate(row)) is seen
