"""`python -m gateway`: one replica of the data path, until SIGTERM."""

import gc_settings

import asyncio
import logging
import signal

from gateway.server import serving
from settings import Settings


async def main(settings: Settings) -> None:
    gc_settings.keep_what_is_loaded()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with serving(settings) as running:
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, *running.feeds}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            next(feed for feed in running.feeds if feed.done()).result()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.ERROR)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # else scanners write our log
    asyncio.run(main(Settings()))
