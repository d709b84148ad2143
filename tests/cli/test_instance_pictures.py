"""What a person sees of instances, their timelines and snapshots."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from cli.instances.following import announce, conclude
from cli.instances.format import size, span
from cli.instances.progress import picture
from cli.instances.schemas import InstanceView, SnapshotView, TimelineEvent
from cli.instances.snapshots import table as snapshots_table
from cli.instances.table import table
from cli.instances.timeline import event_line
from domain.instances.phases import InstanceStatus
from domain.instances.wakes import WakeMethod, WakeReport
from domain.snapshots.phases import SnapshotStatus
from tests.cli.double import instance

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def shown(what: RenderableType, width: int = 160) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def row(**changes: Any) -> str:
    return shown(table([InstanceView.model_validate(instance(**changes))], NOW)).splitlines()[1]


def later(**delta: float) -> str:
    return (NOW + timedelta(**delta)).isoformat()


def test_one_that_runs_shows_its_price_and_how_to_get_in() -> None:
    cells = ["12", "work", "running", "1x RTX 4090", "$0.300/h", "", "ssh -p 22012 root@127.0.0.1"]
    assert row().split() == " ".join(cells).split()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"idle_since": later(minutes=-2), "will_pause_at": later(minutes=1)},
            "idle for 2 min 0 s, pauses in 1 min 0 s",
        ),
        ({"idle_since": later(seconds=-4)}, "idle for 4 s"),
        ({"keep_awake_until": later(hours=2), "idle_since": later(hours=-1)}, "kept awake for 2 h 0 min"),
        ({"keep_awake_until": later(hours=-2)}, "running  1x RTX 4090  $0.300/h"),
        ({"status": "paused", "will_hibernate_at": later(minutes=30)}, "its disk   hibernates in 30 min 0 s"),
        ({"status": "hibernated", "dph_total": None}, "nothing"),
        ({"status": "provisioning", "dph_total": None, "message": "renting"}, "renting"),
        ({"status": "failed", "message": "Nobody offers it."}, "nothing    Nobody offers it."),
    ],
)
def test_when_it_sleeps_and_what_it_costs(changes: dict[str, Any], said: str) -> None:
    assert said in row(**changes)


def test_a_label_is_no_markup() -> None:
    assert "[red]x[/red]" in row(label="[red]x[/red]")


def test_a_failed_attempt_shows_the_offer_and_the_reason() -> None:
    event = TimelineEvent(id=1, kind="boot_failed", text="RTX 4090, offer 7: No GPU was found [on it].", at=NOW)
    assert "boot_failed  RTX 4090, offer 7: No GPU was found [on it]." in shown(event_line(event, "+1.2 s"))


def test_the_line_of_the_moment() -> None:
    now = InstanceView(id=1, status=InstanceStatus.RESUMING, progress=50, message="starting its machine again")
    assert shown(picture(now, 65.0)).strip() == "resuming  50 %  1 min 5 s  starting its machine again"


def ended(reached: bool, *, woken: bool = True, **changes: Any) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        conclude(InstanceView.model_validate(instance(**changes)), reached, console, woken=woken)
    return capture.get()


WOKEN = WakeReport(by="x", began_at=NOW, ended_at=NOW, seconds=4.2, worked=True, method=WakeMethod.RESUME)


def test_the_end_says_how_to_log_in_and_how_it_woke() -> None:
    text = ended(True, last_wake=WOKEN.model_dump())
    assert "✓ running on RTX 4090" in text
    assert "awake after 4 s, by resume" in text
    assert "ssh -p 22012 root@127.0.0.1" in text


def test_an_old_wake_is_no_news() -> None:
    assert "awake after" not in ended(True, woken=False, last_wake=WOKEN.model_dump())


def test_a_wake_in_vain_says_why() -> None:
    report = WOKEN.model_copy(update={"worked": False, "method": None, "reason": "its GPU was rented"})
    text = ended(False, status="paused", message="paused", last_wake=report.model_dump())
    assert "✗ paused" in text
    assert "could not be woken: its GPU was rented" in text


def test_warnings_of_a_new_instance_are_shown() -> None:
    console = Console(width=160)
    with console.capture() as capture:
        announce(InstanceView.model_validate(instance(warnings=["No SSH key of yours is known."])), console)
    assert "! No SSH key of yours is known." in capture.get()
    assert "ssh -p 22012 root@127.0.0.1" in capture.get()


def test_snapshots_show_whether_they_were_tried() -> None:
    common = {"instance_id": 12, "created_at": NOW}
    rows = [
        SnapshotView(id="snap_a", status=SnapshotStatus.READY, verified=True, files=3, size_bytes=1500, **common),
        SnapshotView(id="snap_b", status=SnapshotStatus.READY, tags=["pause"], **common),
        SnapshotView(id="snap_c", status=SnapshotStatus.FAILED, label="mine", **common),
    ]
    _, first, second, third = shown(snapshots_table(rows)).splitlines()
    assert "3      1.5 KB  -      verified" in first
    assert second.split()[-2:] == ["ready", "pause"]
    assert third.split()[-2:] == ["failed", "mine"]


def test_what_has_to_be_typed_is_whole_on_a_narrow_terminal() -> None:
    many = SnapshotView(
        id="snap_0boin6jemswuofyd",
        status=SnapshotStatus.READY,
        instance_id=12,
        created_at=NOW,
        files=123456,
        size_bytes=123_400_000_000,
        data_added_bytes=123_400_000_000,
        label="before the long training run",
    )
    assert many.id in shown(snapshots_table([many]), 80)
    long = InstanceView.model_validate(instance(label="a long label", status="hibernating", message="giving it back"))
    assert "ssh -p 22012 root@127.0.0.1" in shown(table([long], NOW), 80)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (-3, "0 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min"), (180_000, "2 d 2 h")],
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(("count", "words"), [(None, "-"), (999, "999 B"), (1000, "1.0 KB"), (2_500_000_000, "2.5 GB")])
def test_sizes(count: int | None, words: str) -> None:
    assert size(count) == words
