"""Which port each process listens on: the one asked for, or a free one that is kept for the next start."""

import random
import socket
from collections.abc import Mapping
from pathlib import Path

from cli.errors import CommandRefused
from cli.private_files import read_json, write_private_json

DEFAULTS = {
    **{"api": 8000, "gateway": 8080, "temporal": 7233, "temporal-ui": 8233, "simulator": 8090, "postgres": 54320},
    **{"vault": 8070, "ssh": 2222, "ssh-first": 22000},
}
"""`ssh-first` begins the range of the instances' own SSH ports; nothing listens there before there is an instance."""

# Below the range from which the system takes ports for outgoing connections: nothing grabs one between two starts.
FREE_RANGE = range(20000, 30000)


def choose_ports(
    single: Mapping[str, int | None], base: int | None, kept: Path, listening: frozenset[str]
) -> dict[str, int]:
    """The port of each name; `listening` names those that we start, whose ports have to be free now."""
    before = read_json(kept)
    chosen: dict[str, int] = {}
    for name, wanted in asked_ports(single, base).items():
        if wanted == 0:
            chosen[name] = free_port(before.get(name), set(chosen.values()))
        elif name in listening and not is_free(wanted):
            raise CommandRefused(busy(name, wanted))
        else:
            chosen[name] = wanted
    write_private_json(kept, chosen)
    return chosen


def asked_ports(single: Mapping[str, int | None], base: int | None) -> dict[str, int]:
    """What the options say, where 0 means any free one: a single option first, then the base, then the default."""
    asked = {}
    for offset, (name, default) in enumerate(DEFAULTS.items()):
        from_base = None if base is None else base and base + offset
        option = single.get(name)
        asked[name] = next(port for port in (option, from_base, default) if port is not None)
    return asked


def free_port(before: object, taken: set[int]) -> int:
    """The port of the last start where it is still free, else another."""
    if isinstance(before, int) and before not in taken and is_free(before):
        return before
    for port in random.sample(FREE_RANGE, 200):
        if port not in taken and is_free(port):
            return port
    raise CommandRefused(f"No free port between {FREE_RANGE.start} and {FREE_RANGE.stop}. Name one with --port-base N.")


def is_free(port: int) -> bool:
    """Whether we could listen there now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(1)
        except OSError:
            return False
    return True


def busy(name: str, port: int) -> str:
    """The sentence for a taken port."""
    return (
        f"Port {port}, wanted for {name}, is taken by another program. "
        f"Give another with --{name}-port N (0: any free one), or move all of them with --port-base N."
    )
