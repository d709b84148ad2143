"""Which ports are taken."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.errors import CommandRefused
from cli.up.options import PortOptions
from cli.up.ports import DEFAULTS, asked_ports, choose_ports

NOTHING: dict[str, int | None] = {}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_defaults() -> None:
    assert asked_ports(NOTHING, None) == DEFAULTS


def test_a_base_numbers_them_through_and_a_single_option_wins() -> None:
    ports = asked_ports({"postgres": 6000}, 9000)
    assert ports == {
        "api": 9000,
        "gateway": 9001,
        "temporal": 9002,
        "temporal-ui": 9003,
        "simulator": 9004,
        "postgres": 6000,
        "vault": 9006,
        "ssh": 9007,
        "ssh-first": 9008,
    }


def test_free_ports_are_distinct_and_kept_for_the_next_start(tmp_path: Path) -> None:
    kept = tmp_path / "ports.json"
    first = choose_ports(NOTHING, 0, kept, frozenset(DEFAULTS))
    assert len(set(first.values())) == len(DEFAULTS)
    assert choose_ports(NOTHING, 0, kept, frozenset(DEFAULTS)) == first


def test_a_kept_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path, taken: int) -> None:
    kept = tmp_path / "ports.json"
    kept.write_text(json.dumps({"api": taken}))
    assert choose_ports(NOTHING, 0, kept, frozenset(DEFAULTS))["api"] != taken


def test_a_taken_port_is_refused_with_the_option_to_use(tmp_path: Path, taken: int) -> None:
    with pytest.raises(CommandRefused, match="--gateway-port"):
        choose_ports({"gateway": taken}, 0, tmp_path / "ports.json", frozenset({"gateway"}))


def test_the_port_of_a_part_left_out_may_be_taken(tmp_path: Path, taken: int) -> None:
    assert choose_ports({"gateway": taken}, 0, tmp_path / "ports.json", frozenset({"api"}))["gateway"] == taken


def test_the_gateways_setting_counts_where_no_option_is_given() -> None:
    given = {"DUMONT_GATEWAY_PORT": "8181"}
    assert PortOptions().single(given)["gateway"] == 8181
    assert PortOptions(gateway_port=0).single(given)["gateway"] == 0
