"""What serves a model, one `Runtime` for each type. The plan, the machine's script, the gateway and the api read it.

A new type of model is one more entry of `RUNTIMES`; nothing else asks what kind of server runs on a machine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from domain.endpoints.phases import ModelType

VLLM_IMAGE = "vllm/vllm-openai:v0.11.2"
DEFAULT_PORT = 8000


class ServeRequest(BaseModel):
    """What a server is asked to serve, and on what."""

    model_id: str
    port: int = DEFAULT_PORT
    quantization: str | None = None
    num_gpus: int = 1


@dataclass(frozen=True)
class Runtime:
    """A model server: how it is started, when it is well, and which of its paths callers may use."""

    name: str
    image: str
    default_port: int
    key_variable: str
    """The environment variable by which the server learns the key that it asks of its callers: of the gateway."""
    health_path: str
    ready_paths: tuple[str, ...]
    """All of these answer 200, to the key, once the model is loaded."""
    routes: Mapping[tuple[str, str], str]
    """The only paths that the gateway passes on: (method, path of the endpoint) to the server's own path."""
    command: Callable[[ServeRequest], list[str]]
    memory_gb: Callable[[float, float], float]
    """From thousand millions of parameters and bytes for each, to GB over all GPUs."""
    is_built: bool = True
    """False: shown in the catalogue, not served yet."""

    def upstream_path(self, method: str, path: str) -> str | None:
        """The server's own path for one of an endpoint's, or None when callers have no such route."""
        return self.routes.get((method, path))

    def methods_of(self, path: str) -> list[str]:
        """The methods that a path of an endpoint knows; empty when there is no such path."""
        return [method for method, known in self.routes if known == path]


def vllm_command(request: ServeRequest) -> list[str]:
    """It listens on the machine's own loopback: the gateway comes by SSH, nobody else comes at all."""
    command = ["vllm", "serve", request.model_id, "--host", "127.0.0.1", "--port", str(request.port)]
    if request.quantization:
        command += ["--quantization", request.quantization]
    if request.num_gpus > 1:
        command += ["--tensor-parallel-size", str(request.num_gpus)]
    return command


def vllm_memory_gb(billions: float, bytes_per_parameter: float) -> float:
    """Weights times 1.2 for cache and activations, and 1 GB for CUDA and the server: a usual rule, on the safe side."""
    return round(billions * bytes_per_parameter * 1.2 + 1.0, 1)


def _vllm(routes: dict[tuple[str, str], str], *, is_built: bool = True) -> Runtime:
    return Runtime(
        name="vllm",
        image=VLLM_IMAGE,
        default_port=DEFAULT_PORT,
        key_variable="VLLM_API_KEY",
        health_path="/health",
        ready_paths=("/health", "/v1/models"),
        routes={("GET", "v1/models"): "/v1/models", **routes},
        command=vllm_command,
        memory_gb=vllm_memory_gb,
        is_built=is_built,
    )


RUNTIMES: dict[ModelType, Runtime] = {
    ModelType.LLM: _vllm(
        {
            ("POST", "v1/chat/completions"): "/v1/chat/completions",
            ("POST", "v1/completions"): "/v1/completions",
            ("POST", "v1/embeddings"): "/v1/embeddings",
            ("POST", "v1/responses"): "/v1/responses",
        }
    ),
    ModelType.SPEECH: _vllm(
        {
            ("POST", "v1/audio/transcriptions"): "/v1/audio/transcriptions",
            ("POST", "v1/audio/translations"): "/v1/audio/translations",
            ("POST", "transcribe"): "/v1/audio/transcriptions",
        },
        is_built=False,
    ),
    ModelType.EMBEDDINGS: _vllm(
        {("POST", "v1/embeddings"): "/v1/embeddings", ("POST", "embeddings"): "/v1/embeddings"}
    ),
}


def runtime_of(model_type: ModelType) -> Runtime:
    return RUNTIMES[model_type]
