"""Is an instance idle, since when, and what follows: one pure judgement over what is known of it.

Every signal has to say idle: no busy GPU, no busy process of the user's, no traffic at the gateway, nobody who asked
to keep it awake. Unknown counts as in use, but not for ever: then the agent is repaired, the owner is told, and the
owner's cap on unattended cost decides (design section 6). docs/agent.md says it for people.
"""

from datetime import datetime, timedelta

from pydantic import BaseModel

from domain.machines.agents import GPU_ACTIVE

LEAST_WAIT = 1.0
MOST_WAIT = 600.0
"""Seconds between two judgements: never a tight loop; and a policy that was changed is noticed before long."""

MISSED_REPORTS = 3
MANY = 3
"""So many agents that fall silent at once: it is us who do not hear."""

WARNED_BEFORE = timedelta(seconds=60)
MOMENT = timedelta(seconds=0.5)
"""For a report that is expected now to arrive."""


class IdlePolicy(BaseModel):
    """`pause_after` None: never by itself."""

    pause_after: timedelta | None
    report_every: timedelta
    repair_after: timedelta
    unattended_usd: float
    fetched: bool = False
    """Machines cannot reach us: an installation over SSH brings their reports, once a window."""

    @property
    def silent_after(self) -> timedelta:
        """So long without a word is no delay of the network's any more."""
        return MISSED_REPORTS * self.report_every + timedelta(seconds=5)

    @property
    def asked_after(self) -> timedelta:
        """So long without a word the agent is installed again, which also fetches what it could not deliver."""
        return min(self.repair_after, self.pause_after or self.repair_after) if self.fetched else self.repair_after

    @property
    def warned_before(self) -> timedelta:
        """The last minute before a pause, or the last third of a shorter window."""
        return min(WARNED_BEFORE, (self.pause_after or WARNED_BEFORE) / 3)


class IdleFacts(BaseModel):
    """Times by the database's clock. None: never."""

    now: datetime
    policy: IdlePolicy
    running_since: datetime
    price_usd_per_hour: float = 0.0
    keep_awake_until: datetime | None = None
    traffic_at: datetime | None = None
    known_until: datetime | None = None
    """Up to here the agent has said what the machine does."""
    why_unknown: str = "No word from its agent"
    active_at: datetime | None = None
    why_active: str = ""
    others: int = 0
    """Other running machines whose agents have reported before."""
    others_heard_at: datetime | None = None


class IdleDecision(BaseModel):
    """What to do now, and when to ask again (`look_again`: seconds; None: not before something changes)."""

    pause: bool = False
    idle_since: datetime | None = None
    will_pause_at: datetime | None = None
    look_again: float | None = None
    warn: bool = False
    """The pause is near: tell the people at the terminals, once for this `idle_since`."""
    silent: bool = False
    """The agent does not say what happens there, so this is a judgement of the unknown."""
    repair: bool = False
    """The agent has been silent for too long: install it again, and judge again at once."""
    alarm: bool = False
    """The owner has to know of the silence."""
    why: str = ""
    """A sentence for the timeline."""


class _Use(BaseModel):
    at: datetime
    why: str


def judge(facts: IdleFacts) -> IdleDecision:
    """Whether to pause a running instance."""
    if facts.policy.pause_after is None:
        return IdleDecision(why="It is never paused by itself.")
    if facts.now - _known_until(facts) > facts.policy.silent_after:
        return _judge_unknown(facts)
    return _judge_known(facts, facts.policy.pause_after)


def _judge_known(facts: IdleFacts, pause_after: timedelta) -> IdleDecision:
    use, policy = _last_use(facts), facts.policy
    due = max(use.at + pause_after, facts.keep_awake_until or use.at)
    vouched = _known_until(facts) >= use.at + pause_after  # what the agent has not told of yet may be work
    if facts.now >= due and vouched:
        return IdleDecision(pause=True, idle_since=use.at, why=f"{_idle_words(use, facts.now)}.")
    warn_at = due - policy.warned_before
    if facts.now < warn_at:
        wait = _wait(warn_at - facts.now)
    elif facts.now < due:
        wait = _wait(due - facts.now)
    else:
        wait = _wait(_known_until(facts) + policy.report_every + MOMENT - facts.now)
    if facts.now - use.at <= policy.report_every:
        return IdleDecision(look_again=wait, why=f"In use: {use.why}.")
    why = f"{_idle_words(use, facts.now)}; it pauses at {_clock(due)}."
    return IdleDecision(idle_since=use.at, will_pause_at=due, look_again=wait, warn=facts.now >= warn_at, why=why)


def _judge_unknown(facts: IdleFacts) -> IdleDecision:
    """The agent is silent. What it does not say counts as work, until the owner's money says otherwise."""
    policy, silent = facts.policy, facts.now - _known_until(facts)
    if _is_deaf(facts):
        why = "No agent at all reaches us: it is our side that does not hear. Nothing is concluded from that."
        return IdleDecision(look_again=_wait(policy.repair_after), silent=True, why=why)
    if silent < policy.asked_after:
        why = f"{facts.why_unknown} for {_span(silent)}; that counts as in use."
        return IdleDecision(look_again=_wait(policy.asked_after - silent), silent=True, why=why)
    if silent < policy.repair_after:
        why = "Its agent cannot reach us; what it has to say is fetched."
        return IdleDecision(look_again=_wait(policy.asked_after), silent=True, repair=True, why=why)
    unattended = max(_known_until(facts), _last_use(facts).at, facts.keep_awake_until or facts.running_since)
    cost = max(0.0, facts.price_usd_per_hour * (facts.now - unattended).total_seconds() / 3600)
    if facts.price_usd_per_hour > 0 and facts.now > unattended and cost >= policy.unattended_usd:
        why = f"{facts.why_unknown} for {_span(silent)} and nobody used it: {cost:.2f} USD were spent unattended."
        return IdleDecision(pause=True, silent=True, alarm=True, why=why)
    left = _until_cap(facts, cost)
    why = f"{facts.why_unknown} for {_span(silent)}: the agent is repaired. Until then it counts as in use."
    wait = _wait(min(policy.asked_after, left))
    return IdleDecision(look_again=wait, silent=True, repair=True, alarm=True, why=why)


def _until_cap(facts: IdleFacts, cost: float) -> timedelta:
    if facts.price_usd_per_hour <= 0:
        return timedelta(seconds=MOST_WAIT)
    hours = (facts.policy.unattended_usd - cost) / facts.price_usd_per_hour
    return timedelta(hours=min(max(hours, 0.0), 24.0))


def _known_until(facts: IdleFacts) -> datetime:
    """Before it ran there was nothing to know."""
    return max(facts.known_until or facts.running_since, facts.running_since)


def _last_use(facts: IdleFacts) -> _Use:
    signs = [_Use(at=facts.running_since, why="it has just begun to run")]
    if facts.traffic_at is not None:
        signs.append(_Use(at=facts.traffic_at, why="traffic at the gateway"))
    if facts.active_at is not None:
        signs.append(_Use(at=facts.active_at, why=facts.why_active or "something works there"))
    return max(signs, key=lambda sign: sign.at)


def _is_deaf(facts: IdleFacts) -> bool:
    """Many at once: look at ourselves first (design section 9)."""
    if facts.others + 1 < MANY:
        return False
    return facts.others_heard_at is None or facts.now - facts.others_heard_at > facts.policy.silent_after


def _wait(span: timedelta) -> float:
    return min(max(span.total_seconds(), LEAST_WAIT), MOST_WAIT)


def _idle_words(use: _Use, now: datetime) -> str:
    return f"Idle for {_span(now - use.at)}: no traffic, no busy process, GPU below {GPU_ACTIVE:g} %"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"


def _span(span: timedelta) -> str:
    seconds = max(0.0, span.total_seconds())
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def still_idle(idle_since: datetime | None, *uses: datetime | None) -> bool:
    """Whether a verdict of a while ago still holds: nothing has used the instance since."""
    return idle_since is not None and not any(use is not None and use > idle_since for use in uses)


def warning(will_pause_at: datetime) -> str:
    """What the people at the machine's terminals read. The same words from whoever says it, so it is said once."""
    return (
        f"Dumont Cloud: this machine is idle and pauses at {_clock(will_pause_at)}. Typing, or any program that works, "
        "keeps it awake; so does `echo 60 > ~/.dumont/keep_awake` (minutes)."
    )
