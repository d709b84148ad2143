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
    """`starting → loading → ready`, `ready → down → loading` when its server stops serving, `closing → closed`.

    `ready` and nothing else means that the server on the endpoint's lease serves: only then do requests go there.
    """

    STARTING = "starting"
    """No server of it runs: it waits for a machine, or for its server to be started there."""
    LOADING = "loading"
    READY = "ready"
    DOWN = "down"
    """Its server stopped serving, or never did; it is started again, or given up."""
    CLOSING = "closing"
    """Its address is void, its machine is being released."""
    CLOSED = "closed"

    @property
    def is_open(self) -> bool:
        """Whether callers still have an address here."""
        return self not in (EndpointState.CLOSING, EndpointState.CLOSED)


class ServerTrouble(StrEnum):
    """Why a model server does not serve."""

    NOT_STARTED = "not_started"
    ENDED = "ended"
    SLOW = "slow"
    """It did not load within its deadline."""
    SILENT = "silent"
    """Its process is there, but it has not said that it is well for a while."""

    @property
    def leaves_process(self) -> bool:
        """Whether a process may be left that has to be ended before another one is started."""
        return self in (ServerTrouble.SLOW, ServerTrouble.SILENT)


class AccessType(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class ModelType(StrEnum):
    LLM = "llm"
    SPEECH = "speech"
    EMBEDDINGS = "embeddings"
