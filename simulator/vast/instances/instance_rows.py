"""A contract as Vast shows it: the fields of ``GET /api/v0/instances/{id}/`` and of the v1 list."""

import time
from typing import Any

from simulator.vast.cloud import Cloud
from simulator.vast.market.gpus import BY_NAME
from simulator.vast.records import Contract, Host

COUNTRY = slice(-2, None)


def instance_row(cloud: Cloud, contract: Contract) -> dict[str, Any]:
    host = cloud.hosts[contract.machine_id]
    now, skew = time.time(), cloud.settings_of(contract.account_id).clock_skew
    if now < contract.old_until:
        return dict(contract.old_row)
    row = {
        **_identity(contract), **_states(contract), **_doors(cloud, contract), **_prices(contract, host),
        **_gpu(cloud, contract, host), **_computer(contract, host), **_disk(cloud, contract),
        "start_date": contract.created_at + skew,
        "end_date": host.end_date + skew, "duration": host.end_date - now,
        "time_remaining": "", "uptime_mins": (now - contract.booted_at) / 60 if contract.booted_at else None,
        "credit_balance": None, "credit_discount": None, "client_run_time": 1.0, "host_run_time": 2_592_000.0,
        "external": False, "rentable": False, "logo": "", "webpage": None, "volume_info": [], **contract.shown_as,
    }  # fmt: skip
    if row.get("ports", ...) is None:
        del row["ports"]
    return row


def _identity(contract: Contract) -> dict[str, Any]:
    return {
        "id": contract.id, "machine_id": contract.machine_id, "bundle_id": contract.offer_id + 500_000,
        "label": contract.label, "image_uuid": contract.image, "image_args": contract.args,
        "image_runtype": contract.runtype, "extra_env": [[k, v] for k, v in contract.env.items()],
        "onstart": contract.onstart or None, "template_id": None, "template_hash_id": None, "template_name": None,
        "jupyter_token": contract.api_key[:32], "is_bid": contract.is_bid,
    }  # fmt: skip


def _states(contract: Contract) -> dict[str, Any]:
    return {
        "actual_status": contract.actual_status, "intended_status": contract.intended_status,
        "cur_state": contract.cur_state, "next_state": contract.next_state, "status_msg": contract.status_msg or None,
    }  # fmt: skip


def _doors(cloud: Cloud, contract: Contract) -> dict[str, Any]:
    """How to reach it. ``ports`` is there only while it runs, and live ``public_ipaddr`` ends with a newline."""
    settings = cloud.settings_of(contract.account_id)
    newline = "\n" if settings.toggles.newline_in_public_ipaddr else ""
    doors: dict[str, Any] = {
        "public_ipaddr": contract.address + newline, "local_ipaddrs": f"172.17.0.2 {newline}",
        "ssh_host": contract.ssh_host, "ssh_port": contract.ssh_port, "ssh_idx": "1",
        "machine_dir_ssh_port": contract.ports.get("22/tcp", contract.ssh_port), "direct_port_start": -1,
        "direct_port_end": -1, "direct_port_count": len(contract.ports),
    }  # fmt: skip
    settled = contract.booted_at is not None and time.time() >= contract.booted_at + settings.clocks.ports
    if contract.actual_status == "running" and contract.ports and settled:
        doors["ports"] = {
            name: [{"HostIp": "0.0.0.0", "HostPort": str(port)}, {"HostIp": "::", "HostPort": str(port)}]  # noqa: S104
            for name, port in contract.ports.items()
        }
    return doors


def _prices(contract: Contract, host: Host) -> dict[str, Any]:
    base, storage = contract.dph_base, contract.storage_hourly
    search = {"gpuCostPerHour": base, "diskHour": storage, "totalHour": base + storage, "discountTotalHour": 0.0,
              "discountedTotalPerHour": base + storage}  # fmt: skip
    return {
        "dph_base": base, "dph_total": base + storage, "storage_cost": host.storage_cost,
        "storage_total_cost": storage, "min_bid": round(base * 0.55, 4), "inet_up_cost": host.inet_cost,
        "inet_down_cost": host.inet_cost, "internet_up_cost_per_tb": host.inet_cost * 1000,
        "internet_down_cost_per_tb": host.inet_cost * 1000, "inet_up_billed": contract.up_bytes / 1e9,
        "inet_down_billed": contract.down_bytes / 1e9,
        "search": search, "instance": search,
    }  # fmt: skip


def _gpu(cloud: Cloud, contract: Contract, host: Host) -> dict[str, Any]:
    gpu = BY_NAME[contract.gpu_name]
    running = contract.actual_status == "running"
    busy, used = cloud.gpu_load(contract) if running else (0.0, 0)
    return {
        "gpu_name": contract.gpu_name, "num_gpus": contract.num_gpus, "gpu_ram": contract.gpu_ram,
        "gpu_totalram": contract.gpu_ram * contract.num_gpus, "gpu_util": busy if running else None,
        "gpu_temp": 34.0 + busy * 0.4 if running else None, "gpu_frac": contract.num_gpus / host.gpus,
        "gpu_lanes": 16, "gpu_mem_bw": gpu.bandwidth, "gpu_arch": "nvidia", "compute_cap": gpu.capability,
        "cuda_max_good": host.cuda_max_good, "driver_version": host.driver_version, "total_flops": gpu.tflops,
        "dlperf": gpu.dlperf * contract.num_gpus, "vmem_usage": used / 1024 if running else None,
    }  # fmt: skip


def _computer(contract: Contract, host: Host) -> dict[str, Any]:
    return {
        "host_id": host.host_id, "hosting_type": int(host.datacenter), "verification": host.verification,
        "geolocation": host.geolocation, "country_code": host.geolocation[COUNTRY], "static_ip": host.static_ip,
        "reliability2": host.reliability, "cpu_name": host.cpu_name, "cpu_cores": host.cpu_cores,
        "cpu_cores_effective": host.cpu_cores * contract.num_gpus / host.gpus, "cpu_ram": host.cpu_ram,
        "cpu_util": 0.0, "cpu_arch": "amd64", "mem_limit": host.cpu_ram / 1024, "mem_usage": 0.1,
        "disk_bw": host.disk_bw,
        "disk_name": "nvme", "inet_up": host.inet_up, "inet_down": host.inet_down, "os_version": "22.04",
        "mobo_name": "simulated", "pci_gen": 4.0, "pcie_bw": 24.0, "has_avx": 1, "resource_type": "gpu",
    }  # fmt: skip


def _disk(cloud: Cloud, contract: Contract) -> dict[str, Any]:
    """-1 is "unknown" on the real service, and here where disks have no end."""
    used, part = cloud.fleet.disk_use(contract.id) or (-1.0, -1.0)
    return {"disk_space": contract.disk, "disk_usage": used, "disk_util": part}
