"""`dumont up` to ready, on a folder that has been started before: what a person waits for every day."""

import tempfile
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.system import start, stop

RUNS = 5


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        first, _, first_seconds = start(Path(folder) / "data")
        stop(first)
        samples = []
        for _ in range(RUNS):
            process, _, seconds = start(Path(folder) / "data")
            stop(process)
            samples.append(1000 * seconds)
    return [
        Figure("dumont up → ready, first start (database made)", [1000 * first_seconds]),
        Figure("dumont up → ready, later starts", samples, 10_000),
    ]
