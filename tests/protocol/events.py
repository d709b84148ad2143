"""What a schedule is made of. Each prints as the Python that makes it, so a failing schedule can be kept as a test."""

from dataclasses import dataclass
from enum import StrEnum

from domain.instances.actions import InstanceAction


class Request(StrEnum):
    """The requests to a cloud that can go wrong."""

    RENT = "rent"
    LIST = "list"
    SHOW = "show"
    DESTROY = "destroy"
    STOP = "stop"
    START = "start"
    SEARCH = "search"
    KEY = "key"
    ACCOUNT = "account"


class Fault(StrEnum):
    """How an answer goes wrong."""

    THROTTLED = "429"
    BAD_GATEWAY = "502"
    GARBAGE = "garbage"
    KEY_REFUSED = "auth_error"
    REFUSED = "400"
    NOT_SENT = "not_sent"
    LOST_BEFORE = "lost_before"
    LOST_AFTER = "lost_after"
    BAD_GATEWAY_AFTER = "502_after"
    LATE = "late"
    NO_ID = "no_id"
    NO_ID_NOTHING = "no_id_nothing"
    ERROR_WITH_CONTRACT = "error_with_contract"
    OFFER_GONE = "offer_gone"
    DOUBLE_SALE = "double_sale"
    PHANTOM = "phantom"
    MADE_TWICE = "made_twice"
    NEVER_BOOTS = "never_boots"
    EXITS = "exits"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    STALE = "stale"
    ALL_RUNNING = "all_running"
    ALL_STOPPED = "all_stopped"
    DUPLICATED = "duplicated"
    ODD_ROW = "odd_row"
    ROW_WITHOUT_ID = "row_without_id"
    DEPRECATED = "410"
    IGNORED = "ignored"
    ABSENT = "absent"


ANY = [
    Fault.THROTTLED,
    Fault.BAD_GATEWAY,
    Fault.GARBAGE,
    Fault.KEY_REFUSED,
    Fault.REFUSED,
    Fault.NOT_SENT,
    Fault.LOST_BEFORE,
]
AFTER = [Fault.LOST_AFTER, Fault.BAD_GATEWAY_AFTER]
SALES = [
    Fault.LATE,
    Fault.NO_ID,
    Fault.NO_ID_NOTHING,
    Fault.ERROR_WITH_CONTRACT,
    Fault.OFFER_GONE,
    Fault.DOUBLE_SALE,
    Fault.PHANTOM,
    Fault.MADE_TWICE,
    Fault.NEVER_BOOTS,
    Fault.EXITS,
]
LISTS = [
    Fault.EMPTY,
    Fault.TRUNCATED,
    Fault.STALE,
    Fault.ALL_RUNNING,
    Fault.ALL_STOPPED,
    Fault.DUPLICATED,
    Fault.DEPRECATED,
    Fault.ODD_ROW,
    Fault.ROW_WITHOUT_ID,
]
FAULTS: dict[Request, list[Fault]] = {
    Request.RENT: ANY + AFTER + SALES,
    Request.LIST: ANY + LISTS,
    Request.SHOW: [*ANY, Fault.ABSENT],
    Request.DESTROY: [*ANY, *AFTER, Fault.IGNORED],
    Request.STOP: [*ANY, *AFTER, Fault.IGNORED, Fault.LATE],
    Request.START: [*ANY, *AFTER, Fault.IGNORED],
    Request.SEARCH: ANY,
    Request.KEY: ANY,
}
"""Every fault that a request can meet."""


@dataclass(frozen=True)
class Go:
    """Let so many seconds pass, and everything happen that is due in them."""

    seconds: int


@dataclass(frozen=True)
class Deploy:
    """A user wants an instance. Users 0 and 1 work on one account, user 2 has another at the same cloud."""

    user: int


@dataclass(frozen=True)
class Create:
    """A user wants an instance to work on."""

    user: int


@dataclass(frozen=True)
class StartJob:
    """A user wants a script run that takes so many seconds. `retries`: when its machine is lost."""

    user: int
    seconds: int
    retries: int = 0
    checkpoints: bool = False


@dataclass(frozen=True)
class CancelJob:
    """The owner of the n-th job wants it no longer."""

    job: int


@dataclass(frozen=True)
class HoldBack:
    """The next files of jobs cannot be fetched from their machines: so many times on each."""

    times: int


@dataclass(frozen=True)
class Ask:
    """The owner of the n-th instance asks something of it; what makes no sense as it is, is refused.

    `told` False: the api died between its commit and its word to the flow.
    """

    instance: int
    action: InstanceAction
    told: bool = True


@dataclass(frozen=True)
class TakeSnapshot:
    """The owner of the n-th instance wants a snapshot of it. `part`: of one folder, without those that are judged."""

    instance: int
    part: bool = False


@dataclass(frozen=True)
class DeleteSnapshot:
    """The owner of the n-th instance deletes the m-th of its snapshots, if that is allowed. -1: the last one."""

    instance: int
    snapshot: int


@dataclass(frozen=True)
class PutBack:
    """The owner of the n-th instance wants the m-th of its snapshots back: in its place, or on a new instance."""

    instance: int
    snapshot: int
    anew: bool = False


@dataclass(frozen=True)
class Persist:
    """The owner of the n-th instance wants another path to outlive its machines."""

    instance: int
    path: str


@dataclass(frozen=True)
class Destroy:
    """The owner of the n-th instance wants it no longer."""

    instance: int


@dataclass(frozen=True)
class HandOver:
    """The n-th instance's lease gets a new instance for its holder; the old holder lets go late."""

    instance: int


@dataclass(frozen=True)
class Outage:
    """For so many seconds nobody of us does anything: a laptop sleeps. The cloud's machines live on."""

    seconds: int


@dataclass(frozen=True)
class Terminate:
    """Somebody ends the n-th running flow in the Temporal UI. Its activity attempts do not notice."""

    flow: int


@dataclass(frozen=True)
class Cancel:
    """Somebody clicks Cancel on the n-th running flow in the Temporal UI."""

    flow: int


@dataclass(frozen=True)
class KillWorkers:
    """Every worker dies at once; others take over, and remember nothing."""


@dataclass(frozen=True)
class Hang:
    """The next attempt that gets there stays there, until it is resumed."""

    place: str


@dataclass(frozen=True)
class Kill:
    """The next attempt that gets there dies there."""

    place: str


@dataclass(frozen=True)
class Resume:
    """The n-th of the hanging attempts goes on, however much has happened since."""

    hanging: int


@dataclass(frozen=True)
class Trouble:
    """So many of the next requests of a kind go wrong."""

    request: Request
    fault: Fault
    times: int


@dataclass(frozen=True)
class Lose:
    """The n-th machine is gone at its host."""

    machine: int


@dataclass(frozen=True)
class Touch:
    """Somebody stops or starts the n-th machine in the cloud's console."""

    machine: int
    start: bool


@dataclass(frozen=True)
class TakeGpu:
    """Somebody else rents the GPU of the n-th machine, should it be stopped; or gives it back."""

    machine: int
    back: bool = False


@dataclass(frozen=True)
class CutOff:
    """Nobody gets in to the n-th machine any more, though the cloud says that it runs. Until the faults end."""

    machine: int


@dataclass(frozen=True)
class WriteOn:
    """A program on the n-th machine writes on, though it is told to end."""

    machine: int


@dataclass(frozen=True)
class Work:
    """Somebody works on the n-th machine, at its own address, which no gateway sees."""

    machine: int


@dataclass(frozen=True)
class LoseVault:
    """The vault does not answer. Until the faults end."""


@dataclass(frozen=True)
class Cling:
    """The cloud does not change the n-th machine, and answers so, until the faults end."""

    machine: int
    answer: Fault = Fault.REFUSED


@dataclass(frozen=True)
class Orphan:
    """Somebody rents a machine by hand, with a label that looks like ours."""

    label: int


@dataclass(frozen=True)
class GoOn:
    """A person has looked at what is suspect, and lets the reaper go on with just that."""


@dataclass(frozen=True)
class Backup:
    """The database as it is now is kept."""


@dataclass(frozen=True)
class Restore:
    """The database is put back to the last backup. The pairing breaks, and nobody adopts before the end."""


Event = (
    Go
    | Deploy
    | Create
    | StartJob
    | CancelJob
    | HoldBack
    | Ask
    | TakeSnapshot
    | DeleteSnapshot
    | PutBack
    | Persist
    | Destroy
    | HandOver
    | Outage
    | Terminate
    | Cancel
    | KillWorkers
    | Hang
    | Kill
    | Resume
    | Trouble
    | Lose
    | Touch
    | TakeGpu
    | CutOff
    | WriteOn
    | Work
    | LoseVault
    | Cling
    | Orphan
    | GoOn
    | Backup
    | Restore
)
