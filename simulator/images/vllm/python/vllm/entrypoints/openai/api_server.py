"""``python -m vllm.entrypoints.openai.api_server --model MODEL``: the older way to start the server."""

import sys

from ...cli import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
