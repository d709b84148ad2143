"""The line that a person can paste to try a model that is ready."""

import json

from domain.endpoints.phases import ModelType


def curl_line(endpoint: str, model_id: str, model_type: ModelType, api_key: str | None) -> str:
    """A first request to the endpoint, by type of model."""
    key = f" -H 'Authorization: Bearer {api_key}'" if api_key else ""
    if model_type is ModelType.SPEECH:
        return f"curl {endpoint}/transcribe{key} -F file=@speech.wav"
    path, asked = "/v1/chat/completions", '"messages": [{"role": "user", "content": "Hello"}]'
    if model_type is ModelType.EMBEDDINGS:
        path, asked = "/v1/embeddings", '"input": "Hello"'
    body = f'{{"model": {json.dumps(model_id)}, {asked}}}'
    return f"curl {endpoint}{path}{key} -H 'Content-Type: application/json' -d '{body}'"
