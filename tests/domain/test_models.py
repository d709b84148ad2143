"""What a model is and needs, from its name."""

import pytest

from domain.endpoints.models import FAMILIES, guess_type, parameters_billions
from domain.endpoints.phases import ModelType
from domain.endpoints.plans import plan_serving


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", ModelType.LLM),
        ("openai/whisper-large-v3", ModelType.SPEECH),
        ("BAAI/bge-large-en-v1.5", ModelType.EMBEDDINGS),
        ("somebody/else", ModelType.LLM),
    ],
)
def test_the_type_is_guessed_from_the_name(model: str, kind: ModelType) -> None:
    assert guess_type(model) is kind


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("org/Some-13B-chat", 13.0),
        ("org/tiny-350M", 0.35),
        ("org/Mixtral-8x7B", None),
        ("Qwen/Qwen2.5-0.5B-Instruct", 0.5),
        ("org/no-size-told", None),
    ],
)
def test_the_size_is_read_from_the_name_or_unknown(model: str, billions: float | None) -> None:
    assert parameters_billions(model) == billions


def test_a_small_model_fits_a_consumer_card_and_a_large_one_does_not() -> None:
    small = plan_serving(ModelType.LLM, "Qwen/Qwen2.5-0.5B-Instruct").memory_needed_gb
    large = plan_serving(ModelType.LLM, "meta-llama/Llama-3.1-70B-Instruct").memory_needed_gb
    assert small is not None
    assert large is not None
    assert small < 24 < large


def test_quantization_needs_less() -> None:
    plain = plan_serving(ModelType.LLM, "org/Some-13B-chat").memory_needed_gb
    quantized = plan_serving(ModelType.LLM, "org/Some-13B-chat", quantization="awq").memory_needed_gb
    assert plain is not None
    assert quantized is not None
    assert quantized < plain / 2


def test_every_popular_model_has_the_type_of_its_family() -> None:
    for family in FAMILIES:
        for model in family.popular:
            assert guess_type(model.id) is family.type
