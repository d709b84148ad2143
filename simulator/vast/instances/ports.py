"""Which ports a rented machine gets. They are fixed when it is rented, unless the cloud moves what starts again."""

import re
from collections.abc import Iterable

from simulator.vast.instances.fleet import Fleet
from simulator.vast.records import Contract

WISH = re.compile(r"-p\s*(?:(\d+):)?(\d+)(?:/(tcp|udp))?\s*$")
IDENTITY_FROM = 70_000
"""a wish of this and above means: a random port with the same number inside and outside"""
MAX_PORTS = 64


def assign_ports(contract: Contract, fleet: Fleet, living: Iterable[Contract]) -> None:
    """Fill ``ports``, ``identity_ports`` and ``ssh_port``. Raises ValueError for more than 64."""
    wishes = [match.groups() for name in contract.env if (match := WISH.fullmatch(name.strip()))]
    if "direc" in contract.runtype:
        wishes.insert(0, (None, "22", "tcp"))
    if len(wishes) > MAX_PORTS:
        raise ValueError(f"more than {MAX_PORTS} open ports")
    others = {port for other in living for port in (*other.ports.values(), other.ssh_port, other.ssh_port + 1)}
    outer = fleet.free_ports(contract.address, len(wishes), others)
    for (_, inner, protocol), port in zip(wishes, outer, strict=True):
        _map(contract, int(inner), protocol or "tcp", port)
    contract.ssh_port = fleet.free_ports(contract.ssh_host, 1, others | set(outer))[0]


def reassign_ports(contract: Contract, fleet: Fleet, living: Iterable[Contract]) -> None:
    """Other ports at its address, for a machine that starts again; those of the same number inside stay."""
    fixed = {f"{port}/{kind}" for port in contract.identity_ports.values() for kind in ("tcp", "udp")}
    moving = [name for name in contract.ports if name not in fixed]
    others = {port for each in living for port in (*each.ports.values(), each.ssh_port, each.ssh_port + 1)}
    contract.ports |= dict(zip(moving, fleet.free_ports(contract.address, len(moving), others), strict=True))
    taken = others | set(contract.ports.values())
    contract.ssh_port = fleet.free_ports(contract.ssh_host, 1, taken)[0]


def _map(contract: Contract, inner: int, protocol: str, outer: int) -> None:
    if inner >= IDENTITY_FROM:
        contract.identity_ports[str(inner)] = outer
        contract.ports[f"{outer}/{protocol}"] = outer
    elif 0 < inner < 65536:
        contract.ports[f"{inner}/{protocol}"] = outer
    else:
        raise ValueError(f"{inner} is not a port")
