"""Scenarios: a name, a seed and a script in time of faults and control actions, so that a drill can be repeated.

The format is in docs/simulator.md; examples are in ``simulator/scenarios/``. The seed fixes the chances of faults, the
market's sequence and which machines the steps strike; contract ids and boot times are drawn anew each time.
"""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

EXAMPLES = Path(__file__).parent


class ScenarioStep(BaseModel):
    """At ``at`` seconds: set a fault, or do a request to one of the /simulator routes."""

    model_config = ConfigDict(extra="forbid")

    at: float = Field(ge=0)
    fault: dict[str, Any] | None = None
    """the body of ``POST /simulator/faults``"""
    call: str | None = None
    """``METHOD /simulator/…``; ``{machine}`` and ``{host}`` become the machine struck and its host's number"""
    body: dict[str, Any] = Field(default_factory=dict)
    machine: str | None = None
    """strikes a living machine with this text in its label ("": any), drawn with the seed; without one: nothing"""
    every: float | None = Field(default=None, gt=0)
    times: int = Field(default=1, ge=1)
    """with ``every``: so often, so many seconds apart"""

    @model_validator(mode="after")
    def one_thing(self) -> "ScenarioStep":
        if (self.fault is None) is (self.call is None):
            raise ValueError("a step has either a fault or a call")
        if self.call is not None and not self.call.partition(" ")[2].startswith("/simulator/"):
            raise ValueError("a call is METHOD /simulator/…")
        return self


class Scenario(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    seed: int = 1
    fresh: bool = False
    """begin with ``POST /simulator/reset``"""
    account: int | str | None = None
    """an account's number or API key: faults, settings, the reset and the machines drawn are only that account's, and
    the market's sequence is left alone; none: everybody's"""
    length: float | None = None
    """seconds after which the faults it set are taken away; none: they stay"""
    settings: dict[str, Any] = Field(default_factory=dict)
    step: list[ScenarioStep]

    def script(self) -> list[tuple[float, ScenarioStep]]:
        """Every single step in the order of time."""
        times = [(step.at + (step.every or 0) * turn, step) for step in self.step for turn in range(step.times)]
        return sorted(times, key=lambda entry: entry[0])


def read(text: str) -> Scenario:
    """A scenario from TOML. Raises ValueError when it is not one."""
    try:
        return Scenario.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as problem:
        raise ValueError(str(problem)) from problem


def examples() -> dict[str, Path]:
    return {file.stem: file for file in sorted(EXAMPLES.glob("*.toml"))}
