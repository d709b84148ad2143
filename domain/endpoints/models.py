"""The models that are known by name, and what a name says of a model."""

import re

from pydantic import BaseModel

from domain.endpoints.phases import ModelType
from domain.endpoints.runtimes import runtime_of

HALF_PRECISION = 2.0


class PopularModel(BaseModel):
    id: str
    name: str
    size: str
    billions: float
    """Parameters, in thousand millions."""


class ModelFamily(BaseModel):
    """A type of model as `GET /models` shows it. `gpu_memory_gb`: what its smallest popular model needs."""

    type: ModelType
    name: str
    description: str
    popular: list[PopularModel]

    @property
    def gpu_memory_gb(self) -> float:
        return min(runtime_of(self.type).memory_gb(model.billions, HALF_PRECISION) for model in self.popular)


def _model(id: str, name: str, billions: float) -> PopularModel:
    size = f"{billions:g}B" if billions >= 1 else f"{billions * 1000:g}M"
    return PopularModel(id=id, name=name, size=size, billions=billions)


FAMILIES: list[ModelFamily] = [
    ModelFamily(
        type=ModelType.LLM,
        name="Large language models",
        description="Chat and text completion behind the OpenAI API, streaming included.",
        popular=[
            _model("Qwen/Qwen2.5-0.5B-Instruct", "Qwen 2.5 0.5B Instruct", 0.5),
            _model("Qwen/Qwen2.5-7B-Instruct", "Qwen 2.5 7B Instruct", 7.6),
            _model("meta-llama/Llama-3.2-3B-Instruct", "Llama 3.2 3B Instruct", 3.2),
            _model("meta-llama/Llama-3.1-8B-Instruct", "Llama 3.1 8B Instruct", 8.0),
            _model("mistralai/Mistral-7B-Instruct-v0.3", "Mistral 7B Instruct v0.3", 7.2),
            _model("Qwen/Qwen2.5-32B-Instruct", "Qwen 2.5 32B Instruct", 32.8),
            _model("meta-llama/Llama-3.1-70B-Instruct", "Llama 3.1 70B Instruct", 70.6),
        ],
    ),
    ModelFamily(
        type=ModelType.SPEECH,
        name="Speech to text",
        description="Transcription of audio files with Whisper.",
        popular=[
            _model("openai/whisper-large-v3", "Whisper large v3", 1.55),
            _model("openai/whisper-small", "Whisper small", 0.244),
        ],
    ),
    ModelFamily(
        type=ModelType.EMBEDDINGS,
        name="Text embeddings",
        description="Vectors for search and retrieval behind the OpenAI API.",
        popular=[
            _model("BAAI/bge-large-en-v1.5", "BGE large English v1.5", 0.335),
            _model("BAAI/bge-m3", "BGE M3", 0.568),
            _model("intfloat/multilingual-e5-large", "Multilingual E5 large", 0.56),
        ],
    ),
]

_KNOWN = {model.id.lower(): (family.type, model) for family in FAMILIES for model in family.popular}
_BILLIONS = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([bBmM])(?![A-Za-z0-9])")


def guess_type(model_id: str) -> ModelType:
    """The type that a model's name suggests; an LLM when nothing else does."""
    known = _KNOWN.get(model_id.lower())
    if known:
        return known[0]
    name = model_id.lower()
    if "whisper" in name:
        return ModelType.SPEECH
    if any(word in name for word in ("bge", "e5-", "embed", "gte-", "minilm")):
        return ModelType.EMBEDDINGS
    return ModelType.LLM


def parameters_billions(model_id: str) -> float | None:
    """Thousand millions of parameters: from the catalogue, else from a `7B` or `350M` in the name, else unknown."""
    known = _KNOWN.get(model_id.lower())
    if known:
        return known[1].billions
    found = _BILLIONS.findall(model_id.split("/")[-1])
    if not found:
        return None
    number, unit = found[-1]
    return float(number) / (1000 if unit in "mM" else 1)
