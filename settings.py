"""Every setting of every process, from the environment (`DUMONT_*`) or a `.env` file.

Read once by each entry point (`api.main`, `worker`, `gateway.__main__`, `cli`) and handed down; no room below reads the
environment by itself. `dumont up` fills in what a local installation needs.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator can set. Times in seconds unless the name says otherwise, money in USD."""

    model_config = SettingsConfigDict(
        env_prefix="DUMONT_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    database_url: str = "postgresql+psycopg://dumont@127.0.0.1:5432/dumont"
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"

    secret_keys: SecretStr = Field(
        default=SecretStr(""),
        description="Comma separated secrets of 32 characters or more. The first encrypts and signs, all decrypt.",
    )
    api_url: str = "http://127.0.0.1:8000"
    gateway_url: str = "http://127.0.0.1:8080"
    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8080
    gateway_check_url: str | None = Field(
        default=None, description="Where the api asks for the gateway's health, if not at its public address."
    )
    gateway_name: str = Field(default="gateway", description="Distinguishes gateway replicas.")

    vast_url: str = "https://console.vast.ai"
    vast_api_key: SecretStr | None = Field(
        default=None, description="The installation's own key, used by those who have none when sharing is on."
    )
    share_provider_key: bool | None = Field(default=None, description="Default: only on a local installation.")
    simulated: bool = Field(
        default=False, description="The cloud at vast_url is the simulator: said wherever it shows."
    )
    local: bool = Field(default=False, description="One person's computer: makes a demo login, shares the key.")
    registration_open: bool = True
    default_access_type: Literal["public", "private"] = Field(
        default="public", description="Who may call an endpoint: all who have its address, or its owner."
    )
    demo_email: str = "demo@dumont.local"
    demo_password: SecretStr = SecretStr("dumont123")

    cloud_pace: float = Field(
        default=1.0,
        ge=0,
        le=10,
        description="Scale of the cloud's published seconds between requests; 1 is the live service.",
    )
    watch_seconds: float = Field(default=1.0, description="Between two looks at the machines that are moving.")
    sweep_seconds: float = Field(default=15.0, description="Between two looks at the machines that are settled.")
    settle_seconds: float = Field(
        default=20.0, description="How long a lost rent answer is looked up before giving up on it."
    )
    boot_deadline_seconds: float = Field(default=900.0, description="From rent to a working GPU over SSH.")
    relay_after_seconds: float = Field(
        default=20.0, description="How long a closed direct SSH port is waited for before the cloud's relay is used."
    )
    model_deadline_seconds: float = Field(default=1800.0, description="From model server start to healthy.")
    server_check_seconds: float = Field(default=15.0, description="Between two looks at a model server that serves.")
    server_restarts: int = Field(
        default=5, ge=0, description="Restarts of a model server in a row before its endpoint is given up."
    )
    server_restart_pause_seconds: float = Field(
        default=5.0, description="Before the second restart in a row; twice as long before each further one."
    )
    server_steady_seconds: float = Field(
        default=600.0, description="A model server that served for so long has its restarts before it forgiven."
    )
    release_alarm_seconds: float = Field(
        default=300.0, description="A machine that is not released after so long raises an alarm."
    )
    reap_seconds: float = Field(
        default=60.0, description="Between two sweeps for machines of ours that no lease accounts for."
    )
    reap_apart_seconds: float = Field(default=30.0, description="Between the two listings that a verdict needs.")
    orphan_grace_seconds: float = Field(
        default=86_400.0, description="From stopping an unknown machine of ours to its end."
    )
    pairing_seconds: float = Field(default=600.0, description="Between renewals of what pairs our two databases.")
    reconcile_seconds: float = Field(default=10.0, description="Between two looks for rows that nobody serves.")
    attempts_per_instance: int = Field(default=5, description="Offers tried before an instance fails.")
    default_max_gpus: int = Field(default=32, description="GPUs that a user may hold at once, unless theirs says less.")
    default_spending_cap_per_day: float = Field(default=50.0, description="For users who set none of their own.")

    home: str | None = Field(
        default=None, description="Names the data folder; a copy of it has another (db/installation_identity.py)."
    )
    moved: bool = Field(default=False, description="The data folder was moved, not copied: go on as the same.")
    public_url: str | None = Field(
        default=None,
        description="The api's address as rented machines reach it, for their agents. None: over our SSH to them.",
    )
    agent_seconds: float = Field(default=10.0, description="Between two reports of a machine's agent.")
    dead_man_hours: float = Field(
        default=2.0, gt=0, description="An idle machine that has no contact with us for so long stops itself."
    )
    machine_cloud_url: str | None = Field(
        default=None, description="The cloud's address as its machines reach it. None: the same as ours."
    )

    ssh_host: str = Field(default="127.0.0.1", description="The SSH gateway's address, as users type it.")
    ssh_listen: str = Field(default="127.0.0.1", description="The address that the SSH gateway listens on.")
    ssh_port: int = Field(default=2222, description="The shared SSH port: `ssh -p PORT i-12@HOST`.")
    ssh_ports: str = Field(
        default="22000-22999",
        pattern=r"^\d+-\d+$",
        description="The range from which each instance gets an SSH port for life.",
    )
    ssh_shard: str = Field(default="main", description="The group of gateways that serves the ports of this range.")
    ssh_hold_seconds: float = Field(default=600.0, description="How long a login may be held while its instance wakes.")
    ssh_quiet_seconds: float = Field(
        default=120.0,
        description="For how long after a pause a client that was connected then does not wake it by reconnecting.",
    )

    idle_pause_minutes: float = Field(default=3.0, description="Idle for so long: paused. For users who set none.")
    idle_hibernate_minutes: float = Field(default=30.0, description="Paused for so long: hibernated.")
    unknown_repair_seconds: float = Field(
        default=900.0, description="After so long without a report, a machine's agent is installed again."
    )
    unattended_usd: float = Field(
        default=5.0,
        ge=0,
        description="What a machine whose agent is silent and that nobody uses may cost before it is paused.",
    )
    wake_stall_seconds: float = Field(
        default=180.0, description="A wake without any progress for so long tries the next way."
    )
    failed_wakes: int = Field(default=3, description="Wakes in a row that may fail before nobody tries by itself.")

    vault_url: str | None = Field(
        default=None, description="The vault's address as rented machines reach it. None: over our SSH to them."
    )
    vault_host: str = "127.0.0.1"
    vault_port: int = 8070
    vault_backend: str | None = Field(
        default=None, description="Where snapshots are kept: a folder, or an rclone remote. None: in the data folder."
    )
    snapshot_stall_seconds: float = Field(
        default=120.0, description="A snapshot or restore that moves no byte for so long has failed."
    )
    snapshot_budget_seconds: float = Field(
        default=3600.0, description="A pause waits for its snapshot no longer than this, then pauses unprotected."
    )
    snapshots_kept: int = Field(default=10, description="Older ones of an instance are forgotten, labelled ones never.")

    artifact_store: str | None = Field(
        default=None,
        description="Where jobs' artifacts are kept: a folder, or s3://, gs://, az:// (clients/object_store.py). "
        "None: in the data folder, which api and worker then share.",
    )
    artifact_days: float = Field(default=30.0, gt=0, description="A job's artifacts and output are kept so long.")
    artifact_gigabytes: float = Field(default=50.0, gt=0, description="Collected of one job at the most.")
    artifact_files: int = Field(default=20_000, description="Files collected of one job at the most.")
    collect_seconds: float = Field(
        default=300.0, description="So long a job's files are tried to be fetched; then its machine is stopped."
    )
    collect_again_minutes: float = Field(
        default=60.0, gt=0, description="And started again for the next try after so long."
    )
    collect_hours: float = Field(default=24.0, ge=0, description="After which it goes without them.")
    queue_seconds: float = Field(default=15.0, description="Between two tries of a queued job, if nobody calls it.")
    expire_seconds: float = Field(default=3600.0, description="Between two sweeps for what jobs may keep no longer.")

    failpoints_dir: Path | None = Field(default=None, description="For drills: see failpoints.py.")
    metrics_token: SecretStr | None = None
    worker_metrics_address: str | None = Field(
        default=None, description="HOST:PORT where a worker shows Temporal's runtime metrics. None: nowhere."
    )
    data_dir: Path = Path(".dumont")

    @property
    def gateway_health(self) -> str:
        """The gateway's health check. Locally it is asked directly: its public address may not lead here."""
        near = f"http://{self.gateway_host}:{self.gateway_port}" if self.local else self.gateway_url
        return f"{(self.gateway_check_url or near).rstrip('/')}/health"

    @property
    def artifact_address(self) -> str:
        return self.artifact_store or str(self.data_dir / "artifacts")

    @property
    def vault_store(self) -> str:
        """Where snapshots are kept: an absolute folder, or an rclone remote such as `s3:bucket/path`."""
        given = self.vault_backend
        if given is not None and ":" in given and not given.startswith(("/", ".")):
            return given.rstrip("/")
        return str((Path(given) if given else self.data_dir / "vault").expanduser().absolute())

    @property
    def ssh_port_range(self) -> range:
        first, last = map(int, self.ssh_ports.split("-"))
        return range(first, last + 1)

    @property
    def shares_provider_key(self) -> bool:
        """Whether users without a key of their own work on the installation's."""
        return self.local if self.share_provider_key is None else self.share_provider_key
