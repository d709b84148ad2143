"""The GPUs, as nvidia-smi shows them."""

from __future__ import annotations

import subprocess
from typing import Any, Callable

COLUMNS = "utilization.gpu,name,memory.used,memory.total,temperature.gpu"
COMMAND = ["nvidia-smi", f"--query-gpu={COLUMNS}", "--format=csv,noheader,nounits"]
DEADLINE = 10.0


class Gpus:
    """Asks nvidia-smi, one at a time: on a GPU that fell off the bus it hangs, and not even a kill ends it at once."""

    def __init__(self) -> None:
        self._hanging: subprocess.Popen[bytes] | None = None

    def look(self) -> dict[str, Any]:
        """`gpu_metrics` of a report: percent, MB, degrees Celsius. `error` instead when the GPUs cannot be read."""
        if self._hanging is not None and self._hanging.poll() is None:
            return {"error": "nvidia-smi hangs"}
        try:
            asked = subprocess.Popen(
                COMMAND, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            return {"error": f"nvidia-smi does not start ({type(error).__name__})"}
        try:
            said = asked.communicate(timeout=DEADLINE)[0]
        except subprocess.TimeoutExpired:
            asked.kill()
            self._hanging = asked
            return {"error": "nvidia-smi hangs"}
        return parsed(said.decode(errors="replace")) if asked.returncode == 0 else _failed(asked.returncode)


def _failed(code: int) -> dict[str, Any]:
    return {"error": f"nvidia-smi ended with {code}"}


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
