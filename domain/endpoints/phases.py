"""The finite sets of endpoints and deployments."""

from enum import StrEnum


class DeploymentStatus(StrEnum):
    DEPLOYING = "deploying"
    READY = "ready"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_over(self) -> bool:
        return self in (DeploymentStatus.FAILED, DeploymentStatus.STOPPED)


class DeploymentStage(StrEnum):
    """The steps of a deploy, in order; also the keys of its `phase_timings_ms`."""

    PROVISIONING = "provisioning"
    STARTING_SERVER = "starting_server"
    LOADING_MODEL = "loading_model"
    PUBLISHING = "publishing"
    READY = "ready"

    @property
    def progress(self) -> int:
        """Percent done when the stage begins."""
        return {"provisioning": 5, "starting_server": 50, "loading_model": 60, "publishing": 95, "ready": 100}[self]


class EndpointState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    CLOSED = "closed"


class AccessType(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class ModelType(StrEnum):
    LLM = "llm"
    SPEECH = "speech"
    EMBEDDINGS = "embeddings"
