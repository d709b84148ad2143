"""What the simulated machine's GPU looks like to torch; read from the file that nvidia-smi reads."""

import json
import os
from pathlib import Path
from typing import Any


def _state() -> dict[str, Any]:
    file = Path(os.environ.get("SIMULATED_ROOT", "/")) / "run/simulator/gpu.json"
    state: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"count": 0}
    return state


def is_available() -> bool:
    return device_count() > 0


def device_count() -> int:
    state = _state()
    return 0 if state.get("missing") else int(state["count"])


def get_device_name(device: int = 0) -> str:
    return f"NVIDIA {_state()['name']} (simulated)"
