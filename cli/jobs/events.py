"""A job's output as it comes: server-sent events, taken up again where a connection broke off."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from rich.console import Console

from cli.api import Api
from cli.errors import Refused

AGAIN_SECONDS = 1.0
PATIENCE_SECONDS = 300.0
"""How long an api that does not answer is asked again."""


class JobEvent(NamedTuple):
    kind: str
    id: str
    data: dict[str, Any]


def follow(session: Api, job_id: str, console: Console) -> None:
    """Print what the job prints, stdout to stdout and stderr to stderr, until it is over."""
    shown = ""
    for event in events(session, job_id):
        if event.kind == "output":
            stream = sys.stdout if event.data["stream"] == "stdout" else sys.stderr
            stream.write(event.data["text"])
            stream.flush()
        elif event.kind == "gap":
            console.print("[dim](some output went by too fast to be shown; the logs have it)[/]")
        elif event.kind == "status" and (words := f"{event.data['status']}: {event.data['message']}") != shown:
            console.print(words, style="dim", markup=False, highlight=False)
            shown = words


def events(session: Api, job_id: str) -> Iterator[JobEvent]:
    """Every event once, up to and with the last one, whatever happens to the connection."""
    last_id, silent_since = "", time.monotonic()
    while True:
        try:
            for event in _parsed(session.lines(f"/jobs/{job_id}/output", last_id, follow="true")):
                last_id, silent_since = event.id, time.monotonic()
                yield event
                if event.kind == "end":
                    return
        except ConnectionError as error:
            if time.monotonic() - silent_since > PATIENCE_SECONDS:
                raise Refused(f"The api does not answer any more ({error}). The job goes on.") from error
        time.sleep(AGAIN_SECONDS)


def _parsed(lines: Iterator[str]) -> Iterator[JobEvent]:
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield JobEvent(fields["event"], fields["id"], json.loads(fields["data"]))
            fields = {}
