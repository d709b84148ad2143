"""The /simulator routes about scenarios: begin one, see how far it is, stop it."""

from typing import Any

from aiohttp import web
from pydantic import ValidationError

from simulator.scenarios.drill import Drill, Drills
from simulator.scenarios.scenario import Scenario, examples, read
from simulator.vast.api.errors import invalid, refused
from simulator.vast.api.http import add, answer, json_body, number_in

DRILLS = web.AppKey("drills", Drills)


def routes(app: web.Application) -> None:
    add(app, "GET", "/simulator/scenarios", show)
    add(app, "POST", "/simulator/scenarios", begin)
    add(app, "DELETE", "/simulator/scenarios/{id}", stop)


def _row(drill: Drill) -> dict[str, Any]:
    return {"id": drill.id, "name": drill.scenario.name, "seed": drill.scenario.seed, "state": drill.state,
            "steps": len(drill.scenario.script()), "log": drill.log}  # fmt: skip


async def show(request: web.Request) -> web.Response:
    return answer(drill_rows(request.app[DRILLS]))


def drill_rows(drills: Drills) -> dict[str, Any]:
    return {"scenarios": [_row(drill) for drill in drills.all.values()], "examples": list(examples())}


async def begin(request: web.Request) -> web.Response:
    """A scenario as TOML (Content-Type application/toml), as JSON, or ``{"example": name}``."""
    drill = request.app[DRILLS].begin(await _scenario(request), str(request.url.origin()))
    return answer(_row(drill), 201)


async def _scenario(request: web.Request) -> Scenario:
    try:
        if request.content_type == "application/toml":
            return read(await request.text())
        body = await json_body(request)
        if "example" not in body:
            return Scenario.model_validate(body)
        if body["example"] not in examples():
            raise refused(404, "not_found", f"no such example; there are {', '.join(examples())}")
        return read(examples()[body["example"]].read_text())
    except (ValidationError, ValueError) as problem:
        raise invalid(str(problem)) from None


async def stop(request: web.Request) -> web.Response:
    drills, number = request.app[DRILLS], number_in(request, "id")
    if number not in drills.all:
        raise refused(404, "not_found", "no such scenario")
    await drills.stop(number)
    return answer(_row(drills.all[number]))
