"""What Vast.ai sends and takes, in its own words and units (MB, Mbit/s, USD/h). Unknown fields are ignored."""

from contextlib import suppress
from typing import Any

from pydantic import BaseModel, Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator

PORTS = 65_535


def storable(value: Any) -> Any:
    """A text that PostgreSQL would not take is unreadable for us. Raises: ValueError."""
    if isinstance(value, str) and b"\0" in value.encode():  # half a pair of surrogates has no encoding at all
        raise ValueError("a zero character")
    return value


class VastUser(BaseModel):
    """`credit` is prepaid USD; `balance` what is owed, usually 0 or below."""

    id: int
    email: str | None = None
    credit: float = 0.0
    balance: float = 0.0
    balance_threshold: float | None = None


class VastOffer(BaseModel, allow_inf_nan=False):
    """A row of a search. `gpu_ram` and `cpu_ram` in MB, `disk_space` in GB, `duration` in seconds."""

    _storable = field_validator("*", mode="before")(storable)

    id: int
    machine_id: int
    gpu_name: str
    num_gpus: int
    gpu_ram: float
    cpu_cores_effective: float = 0.0
    cpu_cores: float = 0.0
    cpu_ram: float = 0.0
    disk_space: float = 0.0
    inet_down: float = 0.0
    inet_up: float = 0.0
    dph_total: float
    min_bid: float = 0.0
    storage_cost: float = 0.0
    """USD per GB and month of 30 days."""
    geolocation: str | None = None
    reliability2: float = 0.0
    cuda_max_good: float = 0.0
    verification: str | None = None
    static_ip: bool | None = None
    direct_port_count: int = 0


class RentRequest(BaseModel):
    """Body of `PUT /asks/{id}/`. `env` entries that begin with `-p` are ports; `price` makes it interruptible."""

    client_id: str = "me"
    image: str
    disk: float
    label: str
    onstart: str
    env: dict[str, str] = {}
    runtype: str = "ssh_direc ssh_proxy"
    price: float | None = None
    cancel_unavail: bool = True
    image_login: str | None = None
    python_utf8: bool = False
    lang_utf8: bool = False
    use_jupyter_lab: bool = False
    jupyter_dir: str | None = None
    force: bool = False


class VastInstance(BaseModel):
    """One contract. Any status may be null; `ports` is there only while it runs; the address ends in a newline.

    It needs only its id. Each other field that cannot be read is as if it were not there, and named in `unreadable`.
    """

    _storable = field_validator("*", mode="before")(storable)

    id: int
    label: str | None = None
    machine_id: int | None = None
    actual_status: str | None = None
    intended_status: str | None = None
    cur_state: str | None = None
    next_state: str | None = None
    status_msg: str | None = None
    public_ipaddr: str | None = None
    ssh_host: str | None = None
    ssh_port: int | None = Field(default=None, ge=1, le=PORTS)
    ports: dict[str, int] = Field(default_factory=dict)
    dph_total: float | None = None
    start_date: float | None = None
    unreadable: frozenset[str] = Field(default=frozenset(), init=False)

    @model_validator(mode="wrap")
    @classmethod
    def _each_field_by_itself(cls, row: Any, read: ModelWrapValidatorHandler["VastInstance"]) -> "VastInstance":
        fields = {name: value for name, value in row.items() if name != "unreadable"} if isinstance(row, dict) else row
        try:
            return read(fields)
        except ValidationError as error:
            unreadable = {str(each["loc"][0]) for each in error.errors(include_input=False) if each["loc"]}
            if not isinstance(fields, dict) or "id" in unreadable:
                raise
        rest = read({name: value for name, value in fields.items() if name not in unreadable})
        return rest.model_copy(update={"unreadable": frozenset(unreadable)})

    @field_validator("ports", mode="before")
    @classmethod
    def _first_host_port(cls, value: Any) -> dict[str, int]:
        """`{"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": "20000"}, …]}` → `{"22/tcp": 20000}`, each by itself."""
        if not isinstance(value, dict | None):
            raise ValueError("no ports")
        found = {}
        for name, bindings in (value or {}).items():
            with suppress(LookupError, TypeError, ValueError, OverflowError):
                found[storable(name)] = int(bindings[0]["HostPort"])
        return {name: port for name, port in found.items() if 1 <= port <= PORTS}

    @field_validator("public_ipaddr", "ssh_host", mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return (value.strip() or None) if isinstance(value, str) else value
