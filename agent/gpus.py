"""The GPUs, as nvidia-smi shows them."""

from __future__ import annotations

import subprocess
from typing import Any, Callable

COLUMNS = "utilization.gpu,name,memory.used,memory.total,temperature.gpu"
COMMAND = ["nvidia-smi", f"--query-gpu={COLUMNS}", "--format=csv,noheader,nounits"]
DEADLINE = 10.0


def look() -> dict[str, Any]:
    """`gpu_metrics` of a report: percent, MB, degrees Celsius. `error` instead when the GPUs cannot be read."""
    try:
        done = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return {"error": f"nvidia-smi does not answer ({type(error).__name__})"}
    if done.returncode != 0:
        return {"error": f"nvidia-smi ended with {done.returncode}"}
    return parsed(done.stdout.decode(errors="replace"))


def parsed(text: str) -> dict[str, Any]:
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip()]
    rows = [row for row in rows if len(row) == len(COLUMNS.split(","))]
    loads = [_number(row[0]) for row in rows]
    if not rows or None in loads:
        return {"error": "nvidia-smi does not say how busy the GPUs are"}
    return {
        "utilization": max(load for load in loads if load is not None),
        "gpu_names": [row[1] for row in rows],
        "gpu_memory_used": _column(rows, 2, _number),
        "gpu_memory_total": _column(rows, 3, _number),
        "gpu_temperatures": _column(rows, 4, _number),
    }


def _column(rows: list[list[str]], at: int, read: Callable[[str], float | None]) -> list[float | None]:
    return [read(row[at]) for row in rows]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
