"""What bodies and answers have in common."""

import re
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""NUL and lone surrogates: JSON can express them, but PostgreSQL and UTF-8 cannot."""

MAX_DEPTH = 32


def storable(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise PydanticCustomError("unstorable_text", "Text must not contain NUL or unpaired surrogate characters")
    return text


def storable_everywhere(value: Any) -> Any:
    """Check everything in a value: texts that can be stored, finite numbers, and no deeper than anybody needs."""
    waiting = [(value, 0)]
    while waiting:
        each, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise PydanticCustomError("too_deep", "Nested too deeply")
        if isinstance(each, str):
            storable(each)
        elif isinstance(each, float) and not isfinite(each):
            raise PydanticCustomError("finite_number", "Numbers must be finite")
        elif isinstance(each, dict):
            waiting += [(inner, depth + 1) for inner in (*each.keys(), *each.values())]
        elif isinstance(each, list):
            waiting += [(inner, depth + 1) for inner in each]
    return value


def _takes_bool(annotation: Any) -> bool:
    return annotation in (bool, Any) or any(map(_takes_bool, get_args(annotation)))


class Body(BaseModel):
    """A request's body: unknown fields are ignored, numbers are finite and no booleans, texts can be stored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, populate_by_name=True, protected_namespaces=())

    @field_validator("*", mode="before")
    @classmethod
    def _no_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and not _takes_bool(cls.model_fields[info.field_name or ""].annotation):
            raise PydanticCustomError("number_or_text_expected", "Input should not be true or false")
        return value

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable_everywhere(value)


class Answer(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


Time = Annotated[datetime, AfterValidator(lambda at: at.astimezone(UTC))]
"""Shown in UTC with a Z, whatever zone the database session speaks."""

Short = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True), AfterValidator(storable)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(storable)]
WireId = Annotated[int | str, BeforeValidator(lambda text: int(text) if str(text).isdecimal() else text)]
"""An id at a cloud in an answer: a number where it is one (contract: a Vast.ai id is a number), else text."""
BigId = Annotated[int, Field(ge=1, le=2**63 - 1)]


def masked(last4: str) -> str:
    """How a stored key is shown."""
    return f"****{last4}"


def is_masked(text: str) -> bool:
    return text.startswith("****")
