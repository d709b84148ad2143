"""What can be turned while the simulator runs: clocks, rate limits, and where Vast's own sources conflict."""

from typing import Any, Literal

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
    rewrite_keys: float = 0.0
    """how often the platform writes every authorized_keys anew, dropping what was added in the machine; 0: never"""
    beat: float = Field(default=1.0, ge=0.05)
    """between two looks of the cloud at its clock: money, queued starts, bids, end dates, the market"""
    after_end: float = 48 * 3600.0
    """from an offer's end date until its contracts are deleted with their files (clouds.md A5)"""


REALISTIC = Clocks(
    null=4, created=6, loading=(60, 200), sshd=8, keys=3, ports=10, stopping=8, start_lag=6, starting=20, destroying=2,
    rebooting=10, logs=2, model_loading=40, rewrite_keys=12 * 3600.0,
)  # fmt: skip


class MarketSettings(BaseModel):
    """How lively the market is (``vast/market/life.py``): rates per host (prices: per offer) and hour of the market."""

    model_config = ConfigDict(extra="forbid")

    rate: float = Field(default=0.0, ge=0)
    """hours of the market per hour of the wall clock; 0: it stands still"""
    price_moves: float = 0.5
    customers: float = 0.08
    stay_hours: float = Field(default=6.0, gt=0)
    bids: float = 0.05
    bid_hours: float = Field(default=3.0, gt=0)
    offline: float = 0.002
    offline_hours: float = Field(default=0.5, gt=0)
    removals: float = 0.0001
    double_sale: float = Field(default=0.0, ge=0, le=1)
    """the chance that an offer just sold is sold again (clouds.md B1.5)"""
    race_seconds: float = Field(default=10.0, ge=0)
    """for so long after it an offer is just sold"""


class WebhookSettings(BaseModel):
    """How notifications are delivered."""

    model_config = ConfigDict(extra="forbid")

    duplicates: float = Field(default=0.0, ge=0, le=1)
    """the chance that an event is delivered twice"""
    shuffle_seconds: float = Field(default=0.0, ge=0)
    """each delivery waits up to so long, so that they come in any order"""
    retry_seconds: list[float] = Field(default_factory=lambda: [1.0, 5.0, 30.0])
    plain_http: bool = True
    """the real service takes only https"""


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
    team_key: bool = False
    """the account's key is a team's, which may not make SSH keys"""
    new_key_reaches_running: bool = False
    env_string: Literal["ignored", "400"] = "ignored"
    price_zero: Literal["accepted", "invalid_price"] = "accepted"
    cancel_unavail: Literal["docs", "explicit"] = "docs"
    """of a create that does not say it: yes for on-demand, no for bids; or no, as the official CLI spells out"""
    moves_on_start: Literal["no", "ports", "address"] = "no"
    """a stopped instance that starts again keeps its place, gets other ports, or another address too (B3.3)"""
    long_label: Literal["400", "truncated"] = "400"
    newline_in_public_ipaddr: bool = True
    contract_on_failed_bid: bool = True
    lacking_scope: Literal["401", "403"] = "401"


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    clocks: Clocks = Field(default_factory=Clocks)
    rate_limit_scale: float = 0.02
    """times the published thresholds; 0 switches the limiter off"""
    clock_skew: float = 0.0
    """seconds that the cloud's clock is ahead of ours, as the times in its rows and answers show it"""
    money_rate: float = 1.0
    """how fast money goes compared with the wall clock"""
    auto_tmux: bool = True
    """interactive logins land in tmux, unless ~/.no_auto_tmux exists"""
    way_out: list[int] = Field(default_factory=list)
    """ports of this computer's 127.0.0.1 that machines reach, as ``host.simulator:PORT`` (their internet, so to say)"""
    toggles: Toggles = Field(default_factory=Toggles)
    market: MarketSettings = Field(default_factory=MarketSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)

    def changed(self, changes: dict[str, Any]) -> "Settings":
        """With these merged in, at any depth. Raises ValueError."""
        return Settings.model_validate(merge(self.model_dump(), changes))


def merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = {name: merge(old[name], value) if isinstance(value, dict) and isinstance(old.get(name), dict) else value
            for name, value in new.items()}  # fmt: skip
    return {**old, **both}


def for_speed(speed: Speed) -> Settings:
    if speed == "fast":
        return Settings()
    market = MarketSettings(rate=1.0, double_sale=0.02)
    return Settings(clocks=REALISTIC.model_copy(), rate_limit_scale=1.0, market=market)
