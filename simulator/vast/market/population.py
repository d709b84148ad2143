"""The market: a seeded population of hosts and their offers, and who holds which GPU."""

import random
import time

from simulator.vast.market.gpus import CATALOG, Gpu
from simulator.vast.records import Host, Offer

PLACES = ("Sweden, SE", "California, US", "Texas, US", "Quebec, CA", "Germany, DE", "France, FR", "Poland, PL",
          "Brazil, BR", "Japan, JP", "South Korea, KR", "Norway, NO", "United Kingdom, GB", "Bulgaria, BG",
          "New York, US", "Czechia, CZ", "Taiwan, TW")  # fmt: skip
CPUS = (("AMD EPYC 7763 64-Core Processor", 128), ("AMD Ryzen 9 5950X 16-Core Processor", 32),
        ("Intel(R) Xeon(R) Gold 6330 CPU @ 2.00GHz", 56), ("AMD Ryzen 9 7950X 16-Core Processor", 32),
        ("Intel(R) Core(TM) i9-13900K", 32), ("AMD EPYC 7B13 64-Core Processor", 120))  # fmt: skip
DRIVERS = (("535.183.01", 12.2), ("550.127.05", 12.4), ("560.35.03", 12.6), ("570.133.20", 12.8), ("580.65.06", 13.0))
DAY = 86400.0


def population(seed: int) -> tuple[list[Host], list[Offer]]:
    """Hosts and offers; the same seed gives the same market. Every host's whole set of GPUs is one offer, and hosts
    with several also sell them singly."""
    draw = random.Random(seed)  # noqa: S311 (a simulation, not a secret)
    hosts: list[Host] = []
    offers: list[Offer] = []
    for gpu in CATALOG:
        for place, size in enumerate((1,) * gpu.hosts + gpu.big):
            host = _host(draw, gpu, size, 14000 + len(hosts) * 7)
            hosts.append(host)
            price = _price(draw, gpu, place)
            counts = {1, size} if size > 1 else {1}
            offers += [_offer(draw, host, count, price, 6_200_000 + 13 * (len(offers) + i))
                       for i, count in enumerate(sorted(counts))]  # fmt: skip
    return hosts, offers


def _price(draw: random.Random, gpu: Gpu, place: int) -> float:
    """The first host of a GPU asks the lowest price, most stay in the lower half, a few are dear."""
    low, high = gpu.price
    return round(low if place == 0 else low + (high - low) * draw.random() ** 2 * 0.95 + 0.004, 4)


def _offer(draw: random.Random, host: Host, count: int, price: float, number: int) -> Offer:
    base = round(price * count * draw.uniform(0.99, 1.01) if count > 1 else price, 4)
    return Offer(id=number, machine_id=host.id, num_gpus=count, dph_base=base, min_bid=round(base * 0.55, 4))


def _host(draw: random.Random, gpu: Gpu, size: int, number: int) -> Host:
    cpu, cores = draw.choice(CPUS)
    driver, cuda = draw.choice(DRIVERS[2:] if gpu.capability >= 1200 else DRIVERS)
    verified = draw.random() < 0.9
    return Host(
        id=number, host_id=40000 + draw.randrange(20000), gpu_name=gpu.name, gpu_ram=gpu.ram, gpus=size,
        cpu_name=cpu, cpu_cores=max(cores, 16 * size),
        cpu_ram=draw.choice((32, 64, 96, 128)) * 1024 * max(1, size // 2),
        disk_space=float(draw.randrange(120, 2400)), disk_bw=float(draw.randrange(800, 7000)),
        inet_up=float(draw.randrange(200, 2500)), inet_down=float(draw.randrange(400, 5000)),
        inet_cost=draw.choice((0.0, 0.001, 0.005, 0.01)),
        reliability=round(draw.uniform(0.985, 0.9995) if verified else draw.uniform(0.88, 0.98), 7),
        geolocation=draw.choice(PLACES), verification="verified" if verified else "unverified",
        datacenter=draw.random() < 0.35, static_ip=draw.random() < 0.6, direct_ports=draw.randrange(20, 250),
        cuda_max_good=cuda, driver_version=driver, storage_cost=round(draw.uniform(0.1, 0.25), 3),
        end_date=time.time() + draw.uniform(20, 300) * DAY,
    )  # fmt: skip
