"""What earlier rows made: later rows go on from it, and at the end it is given back."""

from dataclasses import dataclass, field

from cli.checklist.terminal import Terminal


@dataclass
class Made:
    """`instances`: those of flow 3, in the order of their making. `sha256`: of the file that was left on the first."""

    deployment: str = ""
    endpoint: str = ""
    endpoint_key: str | None = None
    deployed_at: float = 0.0
    job: str = ""
    job_at: float = 0.0
    job_instance: int | None = None
    email: str = ""
    password: str = ""
    token: str = ""
    terminal: Terminal | None = None
    ssh_key: str = ""
    instances: list[int] = field(default_factory=list)
    sha256: str = ""
    snapshot: str = ""
    resume_seconds: float = 0.0
