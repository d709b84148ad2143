"""The picture of rooms in docs/architecture.md, made from the imports: `python -m tests.docs.rooms` writes it anew."""

import re
import tomllib
from pathlib import Path
from typing import Any

import grimp

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "architecture.md"
PICTURE = re.compile(r"```mermaid\nflowchart TD\n.*?```\n", re.DOTALL)


def contracts() -> dict[str, Any]:
    """import-linter's part of pyproject.toml."""
    linter: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return linter


def layers() -> list[list[str]]:
    """The layers that import-linter holds, from the top."""
    (arrows,) = [each for each in contracts()["contracts"] if each["type"] == "layers"]
    return [[room.strip() for room in layer.split(":")] for layer in arrows["layers"]]


def imports() -> dict[str, set[str]]:
    """Which rooms each room imports."""
    rooms = contracts()["root_packages"]
    graph = grimp.build_graph(*rooms, cache_dir=None)
    found: dict[str, set[str]] = {room: set() for room in rooms}
    for module in graph.modules:
        here = module.partition(".")[0]
        found[here] |= {each.partition(".")[0] for each in graph.find_modules_directly_imported_by(module)} - {here}
    return found


def arrows() -> list[tuple[str, str]]:
    """One arrow for each import, without those that a longer way shows already."""
    left = imports()
    for room in sorted(left):
        for to in sorted(left[room]):
            left[room].remove(to)
            if to not in _reached_from(room, left):
                left[room].add(to)
    return sorted((room, to) for room, others in left.items() for to in others)


def _reached_from(room: str, ways: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = set(ways[room])
    while ahead:
        found |= ahead
        ahead = {further for each in ahead for further in ways[each]} - found
    return found


def picture() -> str:
    lines = ["```mermaid", "flowchart TD"]
    for number, layer in enumerate(layers()):
        lines += [f"    subgraph layer{number}[ ]", f"        {' ~~~ '.join(layer)}", "    end"]
    lines += [f"    {room} --> {to}" for room, to in arrows()]
    alone = [room for room in imports() if not any(room in layer for layer in layers())]
    lines += ["    subgraph alone[import nothing of ours]", f"        {' ~~~ '.join(alone)}", "    end", "```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    DOCUMENT.write_text(PICTURE.sub(lambda _: picture(), DOCUMENT.read_text(), count=1))
