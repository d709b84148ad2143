"""`python -m gateway`, with a drain that lasts as long as a test needs it to."""

import sys

from tests.patience import PATIENCE_SECONDS

_RUN = """
import runpy
import gateway.server as server
server.DRAIN_SECONDS = server._SERVER_OPTIONS["shutdown_timeout"] = {drain}
runpy.run_module("gateway", run_name="__main__")
"""


def gateway_program(drain: float = PATIENCE_SECONDS) -> list[str]:
    """The command. `drain`: seconds that what is in flight gets after SIGTERM; the product gives eight."""
    return [sys.executable, "-c", _RUN.format(drain=drain)]
