"""The door's rules and the comparison of manifests, as tables."""

import json

import pytest

from domain.snapshots.manifests import Comparison, Disagreement, Held, Manifest
from vault.objects import Kind, Object, Right, may, parse

NAME = "ab" * 32
BEGAN = 1_700_000_000_000_000_000
BEFORE, AFTER = "2023-11-14T22:13:19.5Z", "2023-11-14T22:13:21Z"
A_TICK_BEFORE = "2023-11-14T22:13:19.996Z"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/12/config", Object(12, Kind.CONFIG, "config")),
        (f"/12/data/{NAME}", Object(12, Kind.DATA, NAME)),
        ("/12/locks/", Object(12, Kind.LOCKS, None)),
        ("/12/locks", None),
        ("/12/", None),
        ("/12", None),
        ("/0/config", None),
        ("/012/config", None),
        ("/12/config/", None),
        ("/12/config\n", None),
        (f"/12/data/{NAME.upper()}", None),
        (f"/12/data/{NAME}/x", None),
        ("/12/other/", None),
        ("/١٢/config", None),
        ("//12/config", None),
    ],
)
def test_only_what_restic_asks_for_is_understood(path: str, wanted: Object | None) -> None:
    assert parse(path) == wanted


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "MKCOL"])
@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("right", list(Right))
def test_the_whole_table_of_rights(right: Right, kind: Kind, method: str) -> None:
    reads = method in ("GET", "HEAD") and right is not Right.NONE
    adds = right is Right.APPEND and method == "POST" and kind in ("locks", "snapshots", "index", "data")
    unlocks = right is Right.APPEND and method == "DELETE" and kind == "locks"
    assert may(right, method, Object(1, kind, NAME)) is (reads or adds or unlocks)
    assert may(right, method, Object(1, kind, None)) is reads


def manifest(*entries: dict[str, object], final: bool = True, count: int | None = None) -> Manifest:
    first = {"manifest": 1, "snapshot": "s", "paths": ["/w"], "final": final, "began_ns": BEGAN}
    rows = [first, *entries, {"entries": len(entries) if count is None else count}]
    return Manifest(json.dumps(row).encode() for row in rows)


def file(path: str = "/w/a", size: int = 1) -> dict[str, object]:
    return {"p": path, "t": "f", "z": size, "n": BEGAN - 500_000_000, "h": "00"}


def held(path: str = "/w/a", **changes: object) -> Held:
    values = {"path": path, "type": "file", "size": 1, "mtime": BEFORE, "ctime": BEFORE}
    return Held.model_validate(values | changes)


def compared(its: Manifest, *nodes: Held) -> Comparison:
    comparison = Comparison(its)
    for node in nodes:
        comparison.see(node)
    comparison.end()
    return comparison


def test_what_agrees_agrees_and_the_rest_of_the_machine_is_nobodys_business() -> None:
    comparison = compared(manifest(file()), held(), held("/etc/passwd"), held("/w/socket", type="socket"))
    assert [entry.p for entry in comparison.agreeing] == ["/w/a"]


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        [held(), held("/w/b")],
        [held(size=2)],
        [held(mtime=AFTER)],
        [held(type="symlink")],
        [held(size=2, mtime=AFTER, ctime=AFTER)],
    ],
)
def test_any_difference_is_a_disagreement_when_nothing_ran(nodes: list[Held]) -> None:
    with pytest.raises(Disagreement):
        compared(manifest(file()), *nodes)


@pytest.mark.parametrize(
    ("nodes", "agrees"),
    [
        ([held(size=2, mtime=AFTER, ctime=AFTER)], True),
        ([held(size=2, ctime=A_TICK_BEFORE)], True),
        ([held(), held("/w/new", ctime=AFTER)], True),
        ([held("/w", type="dir", ctime=AFTER)], True),
        ([held(size=2)], False),
        ([held(), held("/w/new")], False),
        ([held("/w", type="dir")], False),
    ],
)
def test_files_in_use_may_differ_where_their_times_say_so(nodes: list[Held], agrees: bool) -> None:
    its = manifest(file(), {"p": "/w", "t": "d"}, final=False)
    nodes = nodes if any(node.path == "/w" for node in nodes) else [*nodes, held("/w", type="dir")]
    if agrees:
        compared(its, *nodes)
    else:
        with pytest.raises(Disagreement):
            compared(its, *nodes)


def test_a_manifest_that_is_no_manifest_is_a_disagreement() -> None:
    for lines in ([], [b"{}"], [b"\xff\xfe"], [b"[]", b"[]"], [b"null", b"null"]):
        with pytest.raises(Disagreement):
            Manifest(lines)
    with pytest.raises(Disagreement):
        manifest(file(), count=2)


def test_names_that_are_no_text_are_compared_as_either_side_shows_them() -> None:
    its = manifest(file("/w/not \udcff\udcfe utf8"))
    comparison = compared(its, held("/w/not �� utf8"))
    assert not comparison.agreeing[0].is_named_plainly
