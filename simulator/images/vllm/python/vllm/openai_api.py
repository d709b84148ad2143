"""The OpenAI routes that vLLM serves, over made-up text."""

import itertools
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import text

TOKENS_PER_SECOND = 400.0
Body = dict[str, Any]


class BadRequest(Exception):
    """400"""


class NotFound(Exception):
    """404"""


@dataclass(frozen=True)
class Reply:
    body: Body


@dataclass(frozen=True)
class Stream:
    events: Iterator[str]


@dataclass(frozen=True)
class Model:
    name: str
    root: str
    max_len: int
    created: int = field(default_factory=lambda: int(time.time()))

    def listing(self) -> Body:
        card = {"id": self.name, "object": "model", "created": self.created, "owned_by": "vllm", "root": self.root,
                "parent": None, "max_model_len": self.max_len, "permission": []}  # fmt: skip
        return {"object": "list", "data": [card]}


def route(model: Model, path: str, body: Any) -> Reply | Stream:
    """Raises BadRequest or NotFound."""
    if not isinstance(body, dict):
        raise BadRequest("the body must be an object")
    makers = {"/v1/chat/completions": _chat, "/v1/completions": _completion, "/v1/embeddings": _embeddings}
    if path not in makers:
        raise NotFound(f"no route {path}")
    if body.get("model") not in (model.name, None):
        raise NotFound(f"The model `{body.get('model')}` does not exist.")
    return makers[path](model, body)


def _limit(body: Body, default: int) -> int:
    value = body.get("max_completion_tokens") or body.get("max_tokens") or default
    if not isinstance(value, int) or value < 1:
        raise BadRequest("max_tokens must be at least 1.")
    return value


def _prompt_of_chat(body: Body) -> str:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages: Field required")
    contents = [message.get("content") if isinstance(message, dict) else None for message in messages]
    parts = [c if isinstance(c, str) else " ".join(str(p.get("text", "")) for p in c or () if isinstance(p, dict))
             for c in contents]  # fmt: skip
    return "\n".join(parts)


@dataclass(frozen=True)
class _Answer:
    id: str
    kind: str
    model: str
    tokens: list[str]
    reason: str
    prompt_tokens: int
    chat: bool

    def usage(self) -> Body:
        made = len(self.tokens)
        total = self.prompt_tokens + made
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": made, "total_tokens": total}

    def frame(self, kind: str, choices: list[Body], **more: Any) -> Body:
        return {"id": self.id, "object": kind, "created": int(time.time()), "model": self.model, "choices": choices,
                "system_fingerprint": "simulated", **more}  # fmt: skip


def _generate(model: Model, body: Body, prompt: str, chat: bool) -> _Answer:
    most = _limit(body, 256 if chat else 16)
    tokens = text.words(prompt, most)
    whole = len(text.words(prompt, 10_000))
    kind, prefix = ("chat.completion", "chatcmpl") if chat else ("text_completion", "cmpl")
    reason = "length" if len(tokens) < whole else "stop"
    number = f"{prefix}-{uuid.uuid4().hex}"
    return _Answer(number, kind, model.name, tokens, reason, text.count(prompt), chat)


def _chat(model: Model, body: Body) -> Reply | Stream:
    answer = _generate(model, body, _prompt_of_chat(body), chat=True)
    if body.get("stream"):
        return Stream(_chunks(answer, body))
    time.sleep(len(answer.tokens) / TOKENS_PER_SECOND)
    message: Body = {"role": "assistant", "content": "".join(answer.tokens), "refusal": None, "tool_calls": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.reason}
    return Reply(answer.frame(answer.kind, [choice], usage=answer.usage()))


def _completion(model: Model, body: Body) -> Reply | Stream:
    prompt = body.get("prompt")
    if isinstance(prompt, list):
        prompt = " ".join(str(part) for part in prompt)
    if not isinstance(prompt, str):
        raise BadRequest("prompt: Field required")
    answer = _generate(model, body, prompt, chat=False)
    if body.get("stream"):
        return Stream(_chunks(answer, body))
    time.sleep(len(answer.tokens) / TOKENS_PER_SECOND)
    choice = {"index": 0, "text": "".join(answer.tokens), "logprobs": None, "finish_reason": answer.reason}
    return Reply(answer.frame(answer.kind, [choice], usage=answer.usage()))


def _chunks(answer: _Answer, body: Body) -> Iterator[str]:
    kind = "chat.completion.chunk" if answer.chat else answer.kind
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    pieces: list[tuple[Body | str, str | None]] = [(piece, None) for piece in answer.tokens]
    first: list[tuple[Body | str, str | None]] = [({"role": "assistant", "content": ""}, None)] if answer.chat else []
    for piece, reason in itertools.chain(first, pieces, [("", answer.reason)]):
        if isinstance(piece, str) and piece:
            time.sleep(1 / TOKENS_PER_SECOND)
        yield json.dumps(answer.frame(kind, [_choice(answer.chat, piece, reason)]))
    if with_usage:
        yield json.dumps(answer.frame(kind, [], usage=answer.usage()))
    yield "[DONE]"


def _choice(chat: bool, piece: Body | str, reason: str | None) -> Body:
    if not chat:
        return {"index": 0, "text": piece, "logprobs": None, "finish_reason": reason}
    delta = piece if isinstance(piece, dict) else {"content": piece}
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}


def _embeddings(model: Model, body: Body) -> Reply:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise BadRequest("input: Field required")
    vectors = [text.embedding(str(item)) for item in texts]
    packed = body.get("encoding_format") == "base64"
    data = [{"object": "embedding", "index": n, "embedding": text.as_base64(vector) if packed else vector}
            for n, vector in enumerate(vectors)]  # fmt: skip
    tokens = sum(text.count(str(item)) for item in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0}
    return Reply({"id": f"embd-{uuid.uuid4().hex}", "object": "list", "created": int(time.time()), "model": model.name,
                  "data": data, "usage": usage})  # fmt: skip
