"""What can be turned while the simulator runs: clocks, rate limits, and where Vast's own sources conflict."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Speed = Literal["fast", "realistic"]


class Clocks(BaseModel):
    """How long things take, in seconds; a pair is a range drawn from evenly."""

    model_config = ConfigDict(extra="forbid")

    null: float = 0.1
    """from the answer to a create until the row shows a status at all"""
    created: float = 0.1
    loading: tuple[float, float] = (0.6, 0.7)
    """image pull, with docker's lines in ``status_msg``"""
    sshd: float = 0.1
    """from running until SSH answers"""
    keys: float = 0.0
    """from an attach until the key opens the machine"""
    ports: float = 0.0
    """from running until the direct port mapping works (the proxy works earlier)"""
    stopping: float = 0.1
    start_lag: float = 0.1
    """how long a started instance still reads ``exited``"""
    starting: float = 0.4
    destroying: float = 0.0
    """how long a destroyed instance still shows, with next_state ``destroyed``"""
    rebooting: float = 0.2
    logs: float = 0.1
    """until the object behind ``result_url`` is uploaded (404 before)"""
    model_loading: float = 0.3


REALISTIC = Clocks(
    null=4, created=6, loading=(60, 200), sshd=8, keys=3, ports=10, stopping=8, start_lag=6, starting=20, destroying=2,
    rebooting=10, logs=2, model_loading=40,
)  # fmt: skip


class Toggles(BaseModel):
    """The conflicts between Vast's docs and what operators saw; the first value of each is the default."""

    model_config = ConfigDict(extra="forbid")

    bad_key: Literal["404", "401"] = "404"
    offer_gone: Literal["400", "404", "410"] = "400"
    unknown_instance: Literal["null", "404"] = "null"
    rate_limit_body: Literal["text", "detail", "code", "retry_after"] = "text"
    list_limit_over_25: Literal["clamp", "error"] = "clamp"
    search_cap: int = 64
    """0: no cap"""
    empty_ssh_keys: Literal["list", "404"] = "list"
    new_key_reaches_running: bool = False
    env_string: Literal["ignored", "400"] = "ignored"
    price_zero: Literal["accepted", "invalid_price"] = "accepted"
    long_label: Literal["400", "truncated"] = "400"
    newline_in_public_ipaddr: bool = True
    contract_on_failed_bid: bool = True


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    clocks: Clocks = Field(default_factory=Clocks)
    rate_limit_scale: float = 0.02
    """times the published thresholds; 0 switches the limiter off"""
    money_rate: float = 1.0
    """how fast money goes compared with the wall clock"""
    auto_tmux: bool = True
    """interactive logins land in tmux, unless ~/.no_auto_tmux exists"""
    way_out: list[int] = Field(default_factory=list)
    """ports of this computer's 127.0.0.1 that machines reach, as ``host.simulator:PORT`` (their internet, so to say)"""
    toggles: Toggles = Field(default_factory=Toggles)


def for_speed(speed: Speed) -> Settings:
    if speed == "fast":
        return Settings()
    return Settings(clocks=REALISTIC.model_copy(), rate_limit_scale=1.0)
