"""Names that the glossary retired must not come back: `python -m tests.lint_names`, a part of `make check`.

It reads the names of modules, and of public classes, functions and class members (enum members among them). Local
variables are free. It also reports a class name that two modules of one program use.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

PRODUCT = [
    "activities",
    "api",
    "cli",
    "clients",
    "clouds",
    "db",
    "domain",
    "failpoints",
    "gateway",
    "vault",
    "workflow_client",
    "workflows",
]
PROGRAMS = (PRODUCT, ["machine"], ["simulator"])
"""Each is a program of its own. What runs on machines, and the simulated cloud, may name a thing as we do."""

WORDS = {
    "wish wishes wished": "action, or desired state",
    "situation situations": "facts",
    "stray strays": "orphan",
    "aside asides": "park",
    "fruitless": "failed wakes",
    "unwant unwanted": "desired state",
    "let_go letting_go give_machine_up": "release",
    "home_lease": "data lease",
    "home_machine": "data machine",
    "suspect suspects": "candidate",
    "brake brakes": "safety limit",
    "sentence sentences": "step, or decision",
    "telling": "dispatch",
    "placing": "admission",
    "courier": "reporter",
    "diary": "log",
    "guest guests": "client",
    "newcomer newcomers": "preauth connection",
    "ways_back": "reverse tunnels",
    "spoken": "format",
}
"""Retired words of public names, and what to say instead. `_` joins words that are retired only together."""

MODULES = {
    "alone": "lock",
    "answers": "schemas, or errors",
    "asking": "prompts",
    "beats": "process_heartbeats",
    "copies copying copy_notes": "transfers",
    "counting": "metrics",
    "door": "server",
    "flows": "workflow_contracts, or workflow_client",
    "home": "installation_identity",
    "keeping": "machine",
    "lines": "connection_pool",
    "once": "idempotency",
    "parts": "app_state",
    "points": "failpoints",
    "quiet": "reconnect_cooldown",
    "resting": "idle_timer",
    "shapes wanted": "schemas",
    "side": "service",
    "sleeping": "instance_power",
    "spares": "port_pool",
    "turns": "rate_limits",
    "verbs": "actions",
    "windows": "idle_policy",
    "words": "messages",
}
"""Retired names of modules. As parts of other names these words are harmless."""


def main() -> int:
    found = [line for program in PROGRAMS for line in problems(program)]
    print("\n".join(found) or "No retired names.")
    return 1 if found else 0


def problems(program: list[str]) -> Iterator[str]:
    """One line for each retired name, and for each class that has a namesake."""
    classes: dict[str, str] = {}
    for path in (path for room in program for path in sorted((ROOT / room).rglob("*.py"))):
        place = str(path.relative_to(ROOT))
        if "/images/" in place or "/versions/" in place:
            continue
        if said := _found(path.stem, MODULES, whole=True):
            yield f"{place}: {said}"
        for name, line in [(path.stem, 1), *public_names(ast.parse(path.read_text()))]:
            if said := _found(name, WORDS):
                yield f"{place}:{line}: `{name}`: {said}"
        for name, line in public_classes(ast.parse(path.read_text())):
            if name in classes:
                yield f"{place}:{line}: `{name}` is also a class of {classes[name]}; one name, one class"
            classes.setdefault(name, place)


def public_names(node: ast.Module | ast.ClassDef) -> Iterator[tuple[str, int]]:
    """Classes and functions of a module with their members. A module's own constants are not among them."""
    for each in node.body:
        names = [each.name] if isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else []
        if isinstance(node, ast.ClassDef) and isinstance(each, ast.Assign | ast.AnnAssign):
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
        public = [name for name in names if not name.startswith("_")]
        yield from ((name, each.lineno) for name in public)
        if isinstance(each, ast.ClassDef) and public:
            yield from public_names(each)


def public_classes(module: ast.Module) -> Iterator[tuple[str, int]]:
    for each in module.body:
        if isinstance(each, ast.ClassDef) and not each.name.startswith("_"):
            yield each.name, each.lineno


def _found(name: str, retired: dict[str, str], *, whole: bool = False) -> str | None:
    snake = "_".join(re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)).lower()
    for words, instead in retired.items():
        for word in words.split():
            if snake == word or (not whole and f"_{word}_" in f"_{snake}_"):
                return f"`{word}` is a retired word; say {instead}"
    return None


if __name__ == "__main__":
    sys.exit(main())
