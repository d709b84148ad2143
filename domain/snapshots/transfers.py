"""What we say to the program that copies files on a machine (`machine/transfer/`), and what it says of itself."""

from enum import StrEnum

from pydantic import BaseModel, Field


class TransferKind(StrEnum):
    SNAPSHOT = "snapshot"
    RESTORE = "restore"


class TransferState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"
    """It ended without a word: killed, or its machine was restarted."""


class TransferOrder(BaseModel):
    """A job, as it goes over the machine's stdin. `paths`, `tags`, `final`: of a snapshot; `snapshot`: to restore."""

    id: str
    kind: TransferKind
    restic: str
    """The program's path on the machine."""
    repository: str
    token: str = Field(repr=False)
    password: str = Field(repr=False)
    stall_seconds: float
    paths: list[str] = []
    tags: list[str] = []
    final: bool = False
    snapshot: str = ""


class TransferResult(BaseModel):
    """Of a snapshot: all but the last three. Of a restore: all but the first three. Sizes in bytes."""

    snapshot_id: str = ""
    size_bytes: int = 0
    data_added_bytes: int = 0
    files: int = 0
    seconds: float = 0.0
    bytes: int = 0
    changed: int = 0
    replaced: int = 0


class TransferStatus(BaseModel):
    """A line of `transfer start`."""

    state: TransferState
    step: str = ""
    bytes_done: int = 0
    bytes_total: int = 0
    files_done: int = 0
    moved: int = 0
    fault: str = ""
    reason: str = ""
    result: TransferResult = TransferResult()

    @property
    def is_over(self) -> bool:
        return self.state is not TransferState.RUNNING
