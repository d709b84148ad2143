"""An offer as Vast shows it (the fields of its OpenAPI example and of the SDK's dataclass), and the search."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.vast.market.gpus import BY_NAME
from simulator.vast.query import BadQuery, Row, matches, ordered
from simulator.vast.records import Host, Offer

HOURS_PER_MONTH = 730.0
ALIASES = {
    "reliability": "reliability2", "cuda_vers": "cuda_max_good", "dph": "dph_total",
    "dlperf_usd": "dlperf_per_dphtotal", "flops_usd": "flops_per_dphtotal", "display_active": "gpu_display_active",
}  # fmt: skip


def storage_hourly(host: Host, gigabytes: float) -> float:
    return gigabytes * host.storage_cost / HOURS_PER_MONTH


def offer_row(offer: Offer, host: Host, free: bool, gigabytes: float, needed_bid: float, bid: bool) -> dict[str, Any]:
    """``needed_bid`` is the least bid that gets it now, in $ per hour; ``bid`` shows the row at that price."""
    base = needed_bid if bid else offer.dph_base
    storage = storage_hourly(host, gigabytes)
    total = base + storage
    return {
        "id": offer.id, "ask_contract_id": offer.id, "bundle_id": offer.id + 500_000, "num_gpus": offer.num_gpus,
        "dph_base": base, "dph_total": total, "dph_total_adj": total, "min_bid": needed_bid, "is_bid": bid,
        "storage_total_cost": storage, "discounted_dph_total": total, "discounted_hourly": 0.0, "discount_rate": 0.0,
        "credit_discount_max": 0.2, "rentable": free, "rented": not free, "external": False,
        **_hardware(offer, host), **_landlord(host), **_scores(offer, host, total),
        "search": _prices(base, storage), "instance": _prices(base, storage),
    }  # fmt: skip


def _prices(base: float, storage: float) -> dict[str, float]:
    return {"gpuCostPerHour": base, "diskHour": storage, "totalHour": base + storage, "discountTotalHour": 0.0,
            "discountedTotalPerHour": base + storage}  # fmt: skip


def _hardware(offer: Offer, host: Host) -> dict[str, Any]:
    gpu = BY_NAME[host.gpu_name]
    share = offer.num_gpus / host.gpus
    major, minor, patch = (int(part) for part in host.driver_version.split("."))
    return {
        "gpu_name": host.gpu_name, "gpu_ram": host.gpu_ram, "gpu_total_ram": host.gpu_ram * offer.num_gpus,
        "gpu_frac": share, "gpu_ids": list(range(offer.num_gpus)), "gpu_arch": "nvidia", "gpu_lanes": 16,
        "gpu_mem_bw": gpu.bandwidth, "gpu_max_power": float(gpu.watts), "gpu_max_temp": 90.0,
        "gpu_display_active": False, "compute_cap": gpu.capability, "cuda_max_good": host.cuda_max_good,
        "bw_nvlink": 0.0, "pci_gen": 4.0, "pcie_bw": 24.0, "mobo_name": "simulated", "os_version": "22.04",
        "cpu_name": host.cpu_name, "cpu_arch": "amd64", "cpu_cores": host.cpu_cores,
        "cpu_cores_effective": host.cpu_cores * share, "cpu_ghz": 3.4, "cpu_ram": host.cpu_ram, "has_avx": 1,
        "driver_version": host.driver_version, "driver_vers": major * 1_000_000 + minor * 1000 + patch,
        "disk_space": host.disk_space * share, "disk_bw": host.disk_bw, "disk_name": "nvme",
        "inet_up": host.inet_up, "inet_down": host.inet_down, "inet_up_cost": host.inet_cost,
        "inet_down_cost": host.inet_cost, "internet_up_cost_per_tb": host.inet_cost * 1000,
        "internet_down_cost_per_tb": host.inet_cost * 1000, "direct_port_count": host.direct_ports,
        "resource_type": "gpu", "vms_enabled": False, "is_vm_deverified": False, "nw_disk_avg_bw": None,
    }  # fmt: skip


def _landlord(host: Host) -> dict[str, Any]:
    now = time.time()
    return {
        "machine_id": host.id, "host_id": host.host_id, "hosting_type": int(host.datacenter), "hostname": None,
        "public_ipaddr": f"203.0.113.{host.id % 250 + 1}", "geolocation": host.geolocation,
        "geolocode": host.geolocation[-2:], "static_ip": host.static_ip, "reliability": host.reliability,
        "reliability2": host.reliability, "expected_reliability": host.reliability, "reliability_mult": 1.0,
        "verification": host.verification, "vericode": 1 if host.verification == "verified" else 0,
        "start_date": host.end_date - 400 * 86400, "end_date": host.end_date, "duration": host.end_date - now,
        "time_remaining": "", "time_remaining_isbid": "", "cluster_id": None, "storage_cost": host.storage_cost,
        "avail_vol_ask_id": None, "avail_vol_dph": None, "avail_vol_size": None, "logo": "", "webpage": None, "rn": 1,
    }  # fmt: skip


def _scores(offer: Offer, host: Host, total: float) -> dict[str, float]:
    gpu = BY_NAME[host.gpu_name]
    performance, flops = gpu.dlperf * offer.num_gpus, gpu.tflops * offer.num_gpus
    return {
        "dlperf": performance, "total_flops": flops, "dlperf_per_dphtotal": performance / total,
        "flops_per_dphtotal": flops / total, "score": performance / total * host.reliability,
        "vram_costperhour": total / (host.gpu_ram * offer.num_gpus / 1024),
    }  # fmt: skip


def column(row: Row, name: str) -> Any:
    """A query's column in a row; ``verified`` and ``datacenter`` exist only in queries, and ``id`` matches nothing."""
    name = ALIASES.get(name, name)
    if name == "verified":
        return row["verification"] == "verified"
    if name == "datacenter":
        return row["hosting_type"] == 1
    if name == "geolocation":
        return row["geolocode"]
    if name == "driver_version":
        return row["driver_vers"]
    if name == "id":
        return None
    if name not in row:
        raise BadQuery(f"Error in query parameters: {name} is not a valid search key")
    return row[name]


def _place_codes(filters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Geolocation matches by the trailing two-letter code, whatever the query spells before it."""
    if "geolocation" not in filters:
        return filters
    codes = {
        operator: [str(v)[-2:] for v in wanted] if isinstance(wanted, list) else str(wanted)[-2:]
        for operator, wanted in filters["geolocation"].items()
    }
    return {**filters, "geolocation": codes}


def search(rows: Iterable[Row], body: Mapping[str, Any], cap: int) -> list[Row]:
    """The offers a query finds. Keys whose value is an object are filters; ``order`` and ``limit`` are options.

    The live service was seen to return at most 64 rows whatever the limit (``cap``; 0 is none).
    """
    filters = _place_codes({key: value for key, value in body.items() if isinstance(value, dict)})
    found = [row for row in rows if matches(row, filters, column)]
    order = [(ALIASES.get(str(c), str(c)), str(way) == "desc") for c, way in body.get("order") or [["score", "desc"]]]
    limit = min(int(body.get("limit") or cap or len(found)), cap or len(found))
    return ordered(found, order)[:limit]
