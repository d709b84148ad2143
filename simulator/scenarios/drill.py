"""Running scenarios: each run acts through the simulator's own /simulator routes, as anybody would."""

import asyncio
import itertools
import random
import time
from typing import Any, Literal

import aiohttp

from simulator.scenarios.scenario import Scenario, ScenarioStep
from simulator.vast.api.callers import account_named
from simulator.vast.cloud import Cloud
from simulator.vast.market.life import MarketLife
from simulator.vast.records import Account, Contract


class Drill:
    """One run of a scenario."""

    def __init__(self, number: int, scenario: Scenario, cloud: Cloud, url: str) -> None:
        self.id = number
        self.scenario = scenario
        self.state: Literal["running", "done", "failed", "stopped"] = "running"
        self.log: list[dict[str, Any]] = []
        self._cloud = cloud
        self._url = url
        self._account: Account | None = None
        self._draw = random.Random(scenario.seed)  # noqa: S311 (a simulation, not a secret)
        self._faults: list[int] = []

    async def run(self, life: MarketLife) -> None:
        begun = time.monotonic()
        async with aiohttp.ClientSession(self._url) as session:
            try:
                await self._prepare(session, life)
                for at, step in self.scenario.script():
                    await asyncio.sleep(max(0.0, begun + at - time.monotonic()))
                    await self._do(session, at, step)
                if self.scenario.length is not None:
                    await asyncio.sleep(max(0.0, begun + self.scenario.length - time.monotonic()))
                    self._take_faults_away()
                self.state = "done"
            except (aiohttp.ClientError, ValueError) as problem:
                self.log.append({"at": time.monotonic() - begun, "did": "failed", "answer": str(problem)})
                self.state = "failed"

    async def _prepare(self, session: aiohttp.ClientSession, life: MarketLife) -> None:
        if self.scenario.account is not None:
            self._account = account_named(self._cloud, str(self.scenario.account))
            if self._account is None:
                raise ValueError("no such account")
        only = f"?account={self._account.id}" if self._account else ""
        if self.scenario.fresh:
            await self._ask(session, "POST", f"/simulator/reset{only}", {})
        self._cloud.faults.begin_again(self.scenario.seed, self._account.id if self._account else None)
        if self._account is None:
            life.begin_again(self.scenario.seed)
        await self._ask(session, "PATCH", f"/simulator/settings{only}", self.scenario.settings)

    async def _do(self, session: aiohttp.ClientSession, at: float, step: ScenarioStep) -> None:
        if step.fault is not None:
            whose = {"account": self._account.id} if self._account else {}
            answer = await self._ask(session, "POST", "/simulator/faults", {**whose, **step.fault})
            self._faults.append(answer["id"])
            self.log.append({"at": at, "did": f"fault {step.fault['fault']}", "answer": answer})
            return
        method, _, path = (step.call or "").partition(" ")
        if step.machine is not None:
            struck = self._strike(step.machine)
            if struck is None:
                self.log.append({"at": at, "did": step.call, "answer": "no such machine"})
                return
            path = path.replace("{machine}", str(struck.id)).replace("{host}", str(struck.machine_id))
        answer = await self._ask(session, method, path, step.body)
        self.log.append({"at": at, "did": f"{method} {path}", "answer": answer})

    def _strike(self, text: str) -> Contract | None:
        found = sorted((c for c in self._cloud.living(self._account) if text in (c.label or "")), key=lambda c: c.id)
        return self._draw.choice(found) if found else None

    async def _ask(self, session: aiohttp.ClientSession, method: str, path: str, body: dict[str, Any]) -> Any:
        """Raises ValueError when it is refused."""
        async with session.request(method, path, json=body) as answer:
            if answer.status >= 400:
                raise ValueError(f"{method} {path}: {answer.status} {await answer.text()}")
            return await answer.json()

    def _take_faults_away(self) -> None:
        for number in self._faults:
            self._cloud.faults.remove(number)

    def stop(self) -> None:
        self.state = "stopped"
        self._take_faults_away()


class Drills:
    """The runs of this simulator's life."""

    def __init__(self, cloud: Cloud, life: MarketLife) -> None:
        self._cloud = cloud
        self._life = life
        self._numbers = itertools.count(1)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self.all: dict[int, Drill] = {}

    def begin(self, scenario: Scenario, url: str) -> Drill:
        """``url`` is where this simulator answers: a drill acts through its own routes, as anybody would."""
        drill = Drill(next(self._numbers), scenario, self._cloud, url)
        self.all[drill.id] = drill
        self._tasks[drill.id] = asyncio.create_task(drill.run(self._life))
        return drill

    async def stop(self, number: int) -> None:
        task = self._tasks[number]
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            self.all[number].stop()

    async def close(self) -> None:
        for number in self._tasks:
            await self.stop(number)
