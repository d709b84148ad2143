"""``vllm serve MODEL [flags]``: the flags that matter here are read, all others of the real one are let through."""

import os
import sys
import time
from dataclasses import dataclass

from . import __version__
from .hardware import Hardware, NoSuchModel, OutOfMemory, check_model
from .server import serve

FLAGS_WITHOUT_VALUE = {"--enforce-eager", "--trust-remote-code", "--enable-prefix-caching", "--enable-chunked-prefill",
                       "--disable-log-requests", "--disable-log-stats", "--enable-auto-tool-choice",
                       "--enable-sleep-mode", "--enable-lora", "--no-enable-prefix-caching"}  # fmt: skip


@dataclass
class Options:
    model: str
    host: str = "0.0.0.0"  # noqa: S104 (vLLM's default; the machine's own network)
    port: int = 8000
    api_key: str = ""
    served_name: str = ""
    tensor_parallel: int = 1
    memory_share: float = 0.9
    quantization: str = ""
    max_model_len: int = 8192


def parse(arguments: list[str]) -> Options:
    options = Options(model="", api_key=os.environ.get("VLLM_API_KEY", ""))
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            options.model = options.model or word
            continue
        name, joined, value = word.partition("=")
        if not joined and name not in FLAGS_WITHOUT_VALUE and words and not words[0].startswith("--"):
            value = words.pop(0)
        _set(options, name, value)
    return options


def _set(options: Options, name: str, value: str) -> None:
    if name == "--model":
        options.model = value
    elif name == "--host":
        options.host = value
    elif name == "--port":
        options.port = int(value)
    elif name == "--api-key":
        options.api_key = value
    elif name == "--served-model-name":
        options.served_name = value
    elif name in ("--tensor-parallel-size", "-tp"):
        options.tensor_parallel = int(value)
    elif name == "--gpu-memory-utilization":
        options.memory_share = float(value)
    elif name in ("--quantization", "-q"):
        options.quantization = value
    elif name == "--max-model-len" and value.isdigit():
        options.max_model_len = int(value)


def say(text: str, level: str = "INFO") -> None:
    """A line as vLLM logs it."""
    print(f"{level} {time.strftime('%m-%d %H:%M:%S')} [simulated] {text}", flush=True)


def main(arguments: list[str]) -> int:
    if arguments[:1] in (["--version"], ["-v"]):
        print(__version__)
        return 0
    if arguments[:1] != ["serve"]:
        print("usage: vllm serve MODEL [options]   (simulated)", file=sys.stderr)
        return 2
    options = parse(arguments[1:])
    if not options.model:
        print("vllm serve: error: the following arguments are required: model_tag", file=sys.stderr)
        return 2
    return run(options)


def run(options: Options) -> int:
    """Load (slowly, as the machine's clock says) and serve; the exit status when that fails."""
    say(f"vLLM API server version {__version__}")
    hardware = Hardware.read()
    try:
        gigabytes = check_model(
            options.model, options.quantization, options.tensor_parallel, options.memory_share, hardware
        )
    except NoSuchModel as problem:
        print(problem, file=sys.stderr)
        return 1
    except OutOfMemory as problem:
        say("EngineCore failed to start.", "ERROR")
        print(f"torch.OutOfMemoryError: {problem}", file=sys.stderr)
        return 1
    say(f"Starting to load model {options.model}...")
    if hardware.fault == "crashes":
        time.sleep(hardware.load_seconds / 2)
        print("RuntimeError: Engine core initialization failed. See root cause above.", file=sys.stderr)
        return 1
    serve(options, hardware, gigabytes, say)
    return 0
