"""docs/architecture.md shows the rooms as they are."""

import re

from tests.docs import rooms


def test_the_picture_is_that_of_the_imports() -> None:
    assert rooms.picture() in rooms.DOCUMENT.read_text(), "run `python -m tests.docs.rooms`"


def test_no_arrow_goes_up() -> None:
    height = {room: number for number, layer in enumerate(rooms.layers()) for room in layer}
    assert [(room, to) for room, to in rooms.arrows() if height[room] > height[to]] == []


def test_every_room_is_described() -> None:
    told = set(re.findall(r"^\| `(\w+)/` \|", rooms.DOCUMENT.read_text(), re.MULTILINE))
    assert told == set(rooms.imports())


def test_the_files_of_each_flow_exist() -> None:
    table = rooms.DOCUMENT.read_text().partition("## Each flow's files, in order")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w/]+\.\w+)`", table)
    assert len(named) > 50
    assert [path for path in named if not (rooms.ROOT / path).exists()] == []
