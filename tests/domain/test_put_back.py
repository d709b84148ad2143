"""Which snapshot a machine is given, and what the owner is told of it when it is all that is left."""

from typing import Any

import pytest

from domain.instances.phases import Desired, InstanceStatus
from domain.instances.steps import InstanceFacts, LaterPart, LeaseFacts, NewestSnapshot
from domain.machines.phases import LeaseOutcome, LeaseState

WHOLE = NewestSnapshot(id="snap_1", is_verified=True)
PART = WHOLE.model_copy(update={"is_whole": False, "paths": ["/workspace/a"]})


def facts(snapshot: NewestSnapshot | None, requested: str | None = None, **more: Any) -> InstanceFacts:
    lease = LeaseFacts(id="lease_1", state=LeaseState.RUNNING, wanted=True, outcome=LeaseOutcome.WORKING)
    return InstanceFacts(
        desired=Desired.RUNNING,
        status=InstanceStatus.RESUMING,
        lease=lease,
        snapshot=snapshot,
        restore_requested=requested,
        **more,
    )


@pytest.mark.parametrize(
    ("given", "restored"),
    [
        (facts(None), None),
        (facts(WHOLE), "snap_1"),
        (facts(None, "snap_9"), "snap_9"),
        (facts(WHOLE, "snap_9"), "snap_9"),
        (facts(WHOLE, "snap_9", restores_part=True), "snap_1"),
        (facts(WHOLE, "snap_9", restores_part=True, data_lease_id="lease_0"), "snap_1"),
        (facts(WHOLE, "snap_9", restores_part=True, data_lease_id="lease_1"), "snap_9"),
        (facts(PART, "snap_9", restores_part=True), "snap_9"),
        (facts(None, "snap_9", restores_part=True), "snap_9"),
    ],
)
def test_a_part_is_put_over_the_rest_of_the_files(given: InstanceFacts, restored: str | None) -> None:
    assert given.restorable == restored


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"is_whole": False, "paths": ["/workspace/a"]}, "Only a part of its files is in the vault: snapshot snap_1"),
        ({"is_verified": False}, "Snapshot snap_1 was never verified"),
        ({"later_part": LaterPart(id="snap_2", paths=["/workspace/a"])}, "Snapshot snap_2 (/workspace/a) came after"),
        ({"lacks_files_put_back": True}, "What was put back after snap_1 was taken is not in it"),
    ],
)
def test_its_owner_is_told_what_does_not_come_back(changes: dict[str, Any], told: str) -> None:
    assert WHOLE.caveat == ""
    assert told in WHOLE.model_copy(update=changes).caveat
