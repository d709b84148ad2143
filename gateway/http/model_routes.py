"""Which paths of an endpoint lead to its model server, by model type. All others stay on this side."""

from domain.endpoints.phases import ModelType

_COMMON = {("GET", "v1/models"): "/v1/models"}

_BY_TYPE: dict[ModelType, dict[tuple[str, str], str]] = {
    ModelType.LLM: {
        ("POST", "v1/chat/completions"): "/v1/chat/completions",
        ("POST", "v1/completions"): "/v1/completions",
        ("POST", "v1/embeddings"): "/v1/embeddings",
        ("POST", "v1/responses"): "/v1/responses",
    },
    ModelType.SPEECH: {
        ("POST", "v1/audio/transcriptions"): "/v1/audio/transcriptions",
        ("POST", "v1/audio/translations"): "/v1/audio/translations",
        ("POST", "transcribe"): "/v1/audio/transcriptions",
    },
    ModelType.EMBEDDINGS: {
        ("POST", "v1/embeddings"): "/v1/embeddings",
        ("POST", "embeddings"): "/v1/embeddings",
    },
}


def upstream_path(model_type: ModelType, method: str, tail: str) -> str | None:
    """The server's own path for one of an endpoint's, or None when it has no such route."""
    return (_COMMON | _BY_TYPE[model_type]).get((method, tail))


def methods_of(model_type: ModelType, tail: str) -> list[str]:
    """The methods that a path of an endpoint knows; empty when there is no such path."""
    return [method for method, known in _COMMON | _BY_TYPE[model_type] if known == tail]
