"""What a person sees of a deploy."""

import pytest
from rich.console import Console
from rich.spinner import Spinner

from cli.deploy.choice import model_request
from cli.deploy.curl import curl_line
from cli.deploy.progress import picture
from cli.errors import Refused
from domain.endpoints.phases import ModelType


def shown(**status: object) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(picture(status, Spinner("dots")))
    return capture.get()


def test_phases_done_carry_their_time_and_tried_offers_their_reason() -> None:
    tried = [{"offer_id": 7, "outcome": "offer_gone", "reason": "Somebody else took it."}]
    timings = {"provisioning": 1250.0, "starting_server": None}
    text = shown(status="deploying", stage="starting_server", phase_timings_ms=timings, offers_tried=tried)
    assert "✓ renting a machine and waiting for its GPU 1.2 s" in text
    assert "· loading the model" in text
    assert "offer 7 offer_gone: Somebody else took it." in text


def test_a_failure_is_marked_where_it_happened() -> None:
    text = shown(status="failed", stage="loading_model", message="It ran out of memory.")
    assert "✗ loading the model" in text
    assert "It ran out of memory." in text


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (ModelType.LLM, "/v1/chat/completions"),
        (ModelType.EMBEDDINGS, "/v1/embeddings"),
        (ModelType.SPEECH, "/transcribe -H 'Authorization: Bearer ek' -F file=@speech.wav"),
    ],
)
def test_the_line_to_try_fits_the_type(kind: ModelType, part: str) -> None:
    assert f"http://h/e/x{part}" in curl_line("http://h/e/x", "some/model", kind, "ek")


def test_the_type_is_guessed_from_the_name_or_refused() -> None:
    assert model_request("openai/whisper-small", None, None, None).model_type is ModelType.SPEECH
    with pytest.raises(Refused, match="llm, speech, embeddings"):
        model_request("a/b", "image", None, None)
