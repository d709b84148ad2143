"""`dumont create`: a GPU to work on, from the price to the login."""

import uuid
from typing import Any

from cli.api import Api, Unreachable
from cli.errors import Refused
from cli.flags import AsJson, Detach, Yes
from cli.instances.following import Manner, announce, follow, manner
from cli.instances.goal import Goal
from cli.instances.options import InstanceOptions
from cli.instances.own_keys import offer_own_keys
from cli.instances.schemas import InstanceView
from cli.instances.timeline import Timeline
from cli.offers import offers_table
from cli.places import command
from cli.prompts import agreed
from cli.where import Where, session_at
from domain.instances.phases import InstanceStatus

SHOWN = 5


def create(
    *,
    wanted: InstanceOptions | None = None,
    yes: Yes = False,
    detach: Detach = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Rent a GPU to work on: shows the offers, asks, and ends with the line to log in."""
    asked, how = wanted or InstanceOptions(), manner(detach, as_json)
    body = asked.body()
    with session_at(where) as session:
        offers = fitting_offers(session, asked)
        how.console.print(offers_table(offers))
        if not asked.ssh_key:
            offer_own_keys(session, how.console, yes=yes)
        if not yes and not agreed(how.console, "Create it?"):
            raise Refused("Nothing was rented.")
        start(session, body, how)


def fitting_offers(session: Api, asked: InstanceOptions) -> list[dict[str, Any]]:
    """The cheapest offers, cheapest first; none at all is an error that says what to change."""
    filters = {"gpu_name": asked.gpu, "num_gpus": asked.gpus, "max_price": asked.max_price, "min_disk": asked.disk}
    offers: list[dict[str, Any]] = session.get("/instances/offers", **filters, limit=SHOWN)["offers"]
    if offers:
        return offers
    said = [f"{asked.gpus}x {asked.gpu or 'any GPU'}"]
    said += [f"--max-price {asked.max_price:g}"] if asked.max_price else []
    said += [f"--disk {asked.disk:g}"] if asked.disk else []
    raise Refused(f"Nobody offers that now: {', '.join(said)}. Try another --gpu or a higher --max-price.")


def start(session: Api, body: dict[str, Any], how: Manner) -> None:
    """Asks once, and follows it until SSH answers."""
    try:
        answer = session.post("/instances", body, idempotency_key=str(uuid.uuid4()))
    except Unreachable as error:
        raise Refused(f"{error} Whether it was made is not known: look with `{command()} instances`.") from error
    made = InstanceView.model_validate(answer)
    announce(made, how.console)
    follow(session, Timeline(session, made.id), answer, Goal(InstanceStatus.RUNNING), how)
    if not how.detach:
        line = f"Pause it: {command()} pause {made.id}   Destroy it: {command()} destroy {made.id}"
        how.console.print(line, highlight=False, soft_wrap=True)
