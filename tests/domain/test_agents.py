"""What counts of what an agent says."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.machines.agents import AgentStatus, latest, why_active
from tests.domain.test_idleness import ago

IDLE: dict[str, Any] = {"busy": [], "gpu_metrics": {"utilization": 4.9}, "observed_seconds": 10}
WORK = {"pid": 5, "command": "pip", "reason": "used 80 % of a core"}


@pytest.mark.parametrize(
    ("said", "gap", "why"),
    [
        (IDLE, 10, ""),
        (IDLE, 24, ""),
        (IDLE, 26, "nobody watched it for 26 s"),
        (IDLE | {"observed_seconds": 3600}, 3600, ""),
        (IDLE, None, "the agent has just begun to watch"),
        (IDLE | {"busy": [WORK]}, 10, "pip used 80 % of a core"),
        (IDLE | {"gpu_metrics": {"utilization": 5}}, 10, "the GPU is 5 % busy"),
        (IDLE | {"gpu_metrics": {"utilization": [0, 73]}}, 10, "the GPU is 73 % busy"),
        ({"busy": [], "gpu_utilization": 40, "observed_seconds": 10}, 10, "the GPU is 40 % busy"),
        ({"gpu_utilization": 0}, 10, "the agent does not say what the machine's processes do"),
        (IDLE | {"gpu_metrics": {"error": "nvidia-smi hangs", "unknown_seconds": 9}}, 10, ""),
    ],
)
def test_what_is_activity(said: dict[str, Any], gap: float | None, why: str) -> None:
    status = AgentStatus.model_validate(said)
    assert why_active(status, None if gap is None else timedelta(seconds=gap)) == why


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ({}, None),
        ({"public_ipaddr": "1.2.3.4\n", "ports": {"22/tcp": 40022}}, ("1.2.3.4", {"22/tcp": 40022})),
        ({"public_ipaddr": "1.2.3.4", "ports": {"8000/tcp": 40022}}, None),
        ({"public_ipaddr": "db.internal", "ports": {"22/tcp": 22}}, None),
    ],
)
def test_its_own_address(said: dict[str, Any], address: tuple[str, dict[str, int]] | None) -> None:
    assert AgentStatus.model_validate(said).address() == address


@pytest.mark.parametrize(
    "said",
    [
        {"busy": [WORK] * 201},
        {"ports": {"22/tcp": 0}},
        {"gpu_metrics": {"utilization": 101}},
        {"observed_seconds": -1},
        {"keep_awake_seconds": float("nan")},
        {"version": "x" * 301},
    ],
)
def test_what_it_cannot_say(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AgentStatus.model_validate(said)


def test_kept_awake_by_our_clock() -> None:
    assert AgentStatus(keep_awake_seconds=60).kept_awake_until(ago(10)) == ago(-50)
    assert AgentStatus().kept_awake_until(ago(10)) is None
    assert latest(None, ago(3), ago(1)) == ago(1)
    assert latest(None) is None
