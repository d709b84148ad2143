"""Whom a lease serves now. Everything that a lease's holder has to be told, or is known by, follows from this pair."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class HolderKind(StrEnum):
    INSTANCE = "instance"
    STANDBY = "standby"


class Holder(BaseModel):
    """`id`: an instance's integer as text, a standby's own id."""

    model_config = ConfigDict(frozen=True)

    kind: HolderKind
    id: str

    def __str__(self) -> str:
        """Also the subject of its timeline, such as `instance:12`."""
        return f"{self.kind.value}:{self.id}"

    @property
    def workflow_id(self) -> str:
        """The workflow that lives by the lease and is told when it changes."""
        return f"{self.kind.value}-{self.id}"

    @property
    def instance_id(self) -> int | None:
        return int(self.id) if self.kind is HolderKind.INSTANCE else None


def instance_holder(instance_id: int) -> Holder:
    return Holder(kind=HolderKind.INSTANCE, id=str(instance_id))
