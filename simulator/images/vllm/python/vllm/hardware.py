"""What the simulated machine tells its programs, and whether a model fits on it."""

import json
import os
import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(os.environ.get("SIMULATED_ROOT", "/"))
BOARD = os.environ.get("SIMULATED_BOARD", "http://169.254.77.1/model-server")
BYTES = {"awq": 0.6, "gptq": 0.6, "int4": 0.6, "bnb": 0.6, "bitsandbytes": 0.6, "fp8": 1.0, "int8": 1.0}
SIZE = re.compile(r"(?<![a-zA-Z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.IGNORECASE)


class NoSuchModel(Exception):
    """The hub does not have it."""


class OutOfMemory(Exception):
    """The weights do not fit."""


@dataclass(frozen=True)
class Hardware:
    gpus: int
    memory_mb: int
    """of one GPU"""
    load_seconds: float
    fault: str

    @classmethod
    def read(cls) -> "Hardware":
        gpu = json.loads((ROOT / "run/simulator/gpu.json").read_text())
        try:
            with urllib.request.urlopen(BOARD, timeout=5) as answer:  # noqa: S310 (the machine's own board)
                board = json.load(answer)
        except OSError:
            board = {}
        return cls(gpu["count"], gpu["memory_mb"], float(board.get("load_seconds", 0.3)), board.get("fault") or "")


def gigabytes_of(model: str, quantization: str) -> float:
    """The weights' size, read from the model's name as people do: 7B in half precision is 14 GB; no number, 1B."""
    sizes = SIZE.findall(model.rsplit("/", maxsplit=1)[-1])
    billions = max((int(n or 1) * float(x) / (1 if unit in "bB" else 1000) for n, x, unit in sizes), default=1.0)
    text = f"{quantization} {model}".lower()
    return billions * next((size for name, size in BYTES.items() if name in text), 2.0)


def check_model(model: str, quantization: str, parallel: int, share: float, hardware: Hardware) -> float:
    """The gigabytes that the weights take. Raises NoSuchModel or OutOfMemory, worded as the originals."""
    if "does-not-exist" in model:
        raise NoSuchModel(
            f"OSError: {model} is not a local folder and is not a valid model identifier listed on "
            "'https://huggingface.co/models'\nRepositoryNotFoundError: 404 Client Error. (simulated)"
        )
    need = gigabytes_of(model, quantization)
    parallel = max(1, min(parallel, hardware.gpus))
    have = hardware.memory_mb / 1024 * parallel * share
    if need > have:
        total = hardware.memory_mb / 1024
        raise OutOfMemory(
            f"CUDA out of memory. Tried to allocate {need / parallel:.2f} GiB. GPU 0 has a total capacity of "
            f"{total:.2f} GiB of which {total * share:.2f} GiB is free. (simulated)"
        )
    return need


def report_load(memory_used_mb: int, utilization: int) -> None:
    """Let nvidia-smi see this process's share."""
    file = ROOT / f"run/simulator/load-{os.getpid()}.json"
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"memory_used_mb": memory_used_mb, "utilization": utilization}))
    new.replace(file)
