"""What is shown before anything is rented: the model, the memory it needs, and the offers that fit."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console

from cli.api import Api
from cli.errors import Refused
from cli.offers import offers_table
from domain.endpoints.models import guess_type
from domain.endpoints.phases import ModelType
from domain.endpoints.plans import plan_serving

SHOWN = 5


@dataclass(frozen=True)
class ModelRequest:
    """What the person asked for."""

    model_id: str
    model_type: ModelType
    gpu: str | None = None
    max_price: float | None = None

    @property
    def memory_gb(self) -> float | None:
        """GPU memory that the model needs, where its size is known."""
        return plan_serving(self.model_type, self.model_id).memory_needed_gb

    def body(self) -> dict[str, Any]:
        """The body of the deploy request. What the person left out, the api chooses."""
        wanted = {"gpu_type": self.gpu, "max_price": self.max_price}
        given = {name: value for name, value in wanted.items() if value is not None}
        return {"model_id": self.model_id, "model_type": self.model_type.value, **given}


def model_request(model: str, model_type: str | None, gpu: str | None, max_price: float | None) -> ModelRequest:
    """The request; its type is guessed from the model's name unless it is given."""
    try:
        known = ModelType(model_type) if model_type else guess_type(model)
    except ValueError:
        raise Refused(f"--type is one of {', '.join(ModelType)}, not '{model_type}'.") from None
    return ModelRequest(model, known, gpu, max_price)


def fitting_offers(api: Api, wanted: ModelRequest) -> list[dict[str, Any]]:
    """The cheapest offers that fit, cheapest first; none at all is an error that says what to change."""
    memory = wanted.memory_gb
    filters = {"gpu_name": wanted.gpu, "max_price": wanted.max_price, "min_gpu_ram": memory, "limit": SHOWN}
    offers: list[dict[str, Any]] = api.get("/instances/offers", **filters)["offers"]
    if offers:
        return offers
    asked = [f"--gpu {wanted.gpu!r}"] if wanted.gpu else []
    asked += [f"--max-price {wanted.max_price:g}"] if wanted.max_price else []
    asked += [f"{memory:g} GB of GPU memory for {wanted.model_id}"] if memory else []
    raise Refused(
        f"Nobody offers that now: {', '.join(asked) or 'any GPU'}. Try another --gpu or a higher --max-price."
    )


def show_choice(console: Console, wanted: ModelRequest, offers: list[dict[str, Any]]) -> None:
    """The table of offers, with the one that is tried first on top."""
    needs = f", needs {wanted.memory_gb:g} GB of GPU memory" if wanted.memory_gb else ""
    console.print(f"[bold]{wanted.model_id}[/] ({wanted.model_type.value}{needs})", highlight=False)
    console.print(offers_table(offers))
