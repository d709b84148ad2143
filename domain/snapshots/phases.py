"""The finite sets of snapshots."""

from enum import StrEnum


class SnapshotStatus(StrEnum):
    CREATING = "creating"
    READY = "ready"
    FAILED = "failed"
