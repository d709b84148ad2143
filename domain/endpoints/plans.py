"""How one model is served on one machine. Nothing is ever downloaded here."""

from pydantic import BaseModel

from domain.endpoints.models import HALF_PRECISION, parameters_billions
from domain.endpoints.phases import ModelType
from domain.endpoints.runtimes import DEFAULT_PORT, ServeRequest, runtime_of

_BYTES = {"awq": 0.5, "gptq": 0.5, "int4": 0.5, "4bit": 0.5, "fp8": 1.0, "int8": 1.0, "8bit": 1.0}


class ServePlan(BaseModel):
    """Image, command and memory of one model's server. Holds no key: the server reads its own on the machine."""

    model_type: ModelType
    model_id: str
    image: str
    port: int = DEFAULT_PORT
    arguments: list[str] = []
    env: dict[str, str] = {}
    memory_needed_gb: float | None = None
    """None when the size of the model is not known; then the server itself finds out."""


def plan_serving(
    model_type: ModelType,
    model_id: str,
    *,
    port: int = DEFAULT_PORT,
    quantization: str | None = None,
    num_gpus: int = 1,
) -> ServePlan:
    """The command line and the memory (GB, over all GPUs) for one model."""
    runtime = runtime_of(model_type)
    request = ServeRequest(model_id=model_id, port=port, quantization=quantization, num_gpus=num_gpus)
    billions = parameters_billions(model_id)
    width = bytes_per_parameter(f"{model_id} {quantization or ''}")
    return ServePlan(
        model_type=model_type,
        model_id=model_id,
        image=runtime.image,
        port=port,
        arguments=runtime.command(request),
        memory_needed_gb=None if billions is None else runtime.memory_gb(billions, width),
    )


def bytes_per_parameter(words: str) -> float:
    """By a quantization's name in the model's name or beside it; half precision where there is none."""
    return next((size for word, size in _BYTES.items() if word in words.lower()), HALF_PRECISION)
