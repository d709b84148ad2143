"""`dumont deploy`, `dumont follow` and `dumont stop`."""

import json
import sys
import uuid
from typing import Any

from rich.console import Console

from cli.api import Api
from cli.deploy.choice import ModelRequest, fitting_offers, model_request, show_choice
from cli.deploy.curl import curl_line
from cli.deploy.progress import follow as watch
from cli.errors import Refused
from cli.flags import AsJson, Detach, Yes
from cli.places import command
from cli.prompts import agreed
from cli.where import Where, session_at
from domain.endpoints.models import guess_type
from domain.endpoints.phases import DeploymentStatus, ModelType


def deploy(
    model: str,
    /,
    *,
    gpu: str | None = None,
    max_price: float | None = None,
    type: str | None = None,
    yes: Yes = False,
    detach: Detach = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Serve a model on a rented GPU: shows the price, asks, deploys, and ends with the endpoint.

    Parameters
    ----------
    model
        Its name, such as Qwen/Qwen2.5-0.5B-Instruct.
    gpu
        The GPU to rent, such as "RTX 4090" [default: the cheapest that fits].
    max_price
        The most to pay, in USD per hour.
    type
        llm, speech or embeddings [default: guessed from the name].
    yes
        Do not ask.
    detach
        Return at once; `dumont follow` shows the rest.
    as_json
        Print the last status as JSON on standard output; what is for people goes to standard error as always.
    """
    console = Console(stderr=True)
    wanted = model_request(model, type, gpu, max_price)
    with session_at(where) as session:
        offers = fitting_offers(session, wanted)
        show_choice(console, wanted, offers)
        if not yes and not agreed(console, "Deploy?"):
            raise Refused("Nothing was rented.")
        started = session.post("/models/deploy", wanted.body(), idempotency_key=str(uuid.uuid4()))
        finish(session, started, wanted, console, detach=detach, as_json=as_json)


def finish(
    session: Api, started: dict[str, Any], wanted: ModelRequest, console: Console, *, detach: bool, as_json: bool
) -> None:
    """Follows the deploy to its end, unless it was to be left alone."""
    deployment = str(started["deployment_id"])
    console.print(f"Deployment [bold]{deployment}[/], instance {started['instance_id']}", highlight=False)
    if detach:
        console.print(later(deployment), highlight=False)
        last = started
    else:
        last = watch_politely(session, deployment, console)
        conclude(last, wanted, console, started.get("api_key"))
    if as_json:
        print(json.dumps({**started, **last}, indent=2))
    if last["status"] == DeploymentStatus.FAILED:
        sys.exit(1)


def watch_politely(session: Api, deployment: str, console: Console) -> dict[str, Any]:
    """Follows until the end; Ctrl-C stops the watching, not the deploy."""
    try:
        return watch(session, deployment, console)
    except KeyboardInterrupt:
        console.print(f"\nThe deploy goes on.\n{later(deployment)}", highlight=False)
        sys.exit(130)


def conclude(status: dict[str, Any], wanted: ModelRequest, console: Console, api_key: str | None) -> None:
    """The endpoint with a line to try it, or the reason why there is none."""
    if status["status"] != DeploymentStatus.READY:
        console.print(f"[red]{status['status']}[/]: {status.get('message') or 'no reason given'}", soft_wrap=True)
        return
    endpoint = status["endpoint"]
    line = curl_line(endpoint, wanted.model_id, wanted.model_type, api_key)
    price = f" at ${status['dph_total']:.3f}/h" if status.get("dph_total") else ""
    console.print(f"\n[bold green]Ready[/]{price}: {endpoint}\n\nTry:  ", highlight=False, soft_wrap=True, end="")
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Stop: {command()} stop {status['deploy_id']}\n", highlight=False)


def later(deployment: str) -> str:
    """How to come back to a deploy."""
    return f"Follow it: {command()} follow {deployment}\nStop it:   {command()} stop {deployment}"


def follow(deployment: str, /, *, where: Where | None = None) -> None:
    """Show a deploy that is under way until it is ready or has failed.

    Parameters
    ----------
    deployment
        Its id, such as dep_1a2b3c.
    """
    console = Console(stderr=True)
    with session_at(where) as session:
        record = session.get(f"/models/{deployment}")
        model = str(record["model_id"])
        kind = ModelType(record.get("model_type") or guess_type(model))
        last = watch_politely(session, deployment, console)
        conclude(last, ModelRequest(model, kind), console, None)
    if last["status"] == DeploymentStatus.FAILED:
        sys.exit(1)


def stop(deployment: str, /, *, where: Where | None = None) -> None:
    """End a deployment and give its machine back.

    Parameters
    ----------
    deployment
        Its id, such as dep_1a2b3c.
    """
    with session_at(where) as session:
        session.delete(f"/models/{deployment}")
    Console(stderr=True).print(f"{deployment} is being stopped; its machine is given back.", highlight=False)
