"""`make bench`, or `make bench ARGS="deploy up"` for some of it."""

import importlib
import sys

from benchmarks.figures import table

PARTS = [
    "deploy",
    "jobs",
    "up",
    "workflow_start",
    "gateway_relay",
    "ssh_gateway",
    "sweep",
    "crowd",
    "cost",
    "vault",
    "wake",
    "sleepers",
]


def main(names: list[str]) -> None:
    unknown = set(names) - set(PARTS)
    if unknown:
        sys.exit(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for name in names or PARTS:
        print(f"\n{name}\n", flush=True)
        print(table(importlib.import_module(f"benchmarks.{name}").measure()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
