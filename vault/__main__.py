"""`python -m vault`: one door of the vault, until SIGTERM."""

import gc_settings

import asyncio
import logging
import signal

from settings import Settings
from vault.server import serving


async def main(settings: Settings) -> None:
    gc_settings.keep_what_is_loaded()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with serving(settings) as running:
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, running.store_ended}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            raise SystemExit("rclone ended by itself")  # our supervisor starts both again


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    asyncio.run(main(Settings()))
