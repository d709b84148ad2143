"""The document that says where a running installation is reached: `addresses.json`."""

from collections.abc import Mapping

from cli.up.plan import Plan


def addresses(plan: Plan, pids: Mapping[str, int]) -> dict[str, object]:
    """The document. It is there only while everything runs, and its process ids are the current ones."""
    settings = plan.environment()
    simulated = "simulator" in plan.parts
    return {
        "api": settings["DUMONT_API_URL"],
        "gateway": settings["DUMONT_GATEWAY_URL"],
        "vault": f"http://127.0.0.1:{settings['DUMONT_VAULT_PORT']}" if "vault" in plan.parts else None,
        "temporal": settings["DUMONT_TEMPORAL_ADDRESS"],
        "temporal_ui": f"http://127.0.0.1:{plan.ports['temporal-ui']}" if "temporal" in plan.parts else None,
        "simulator": settings["DUMONT_VAST_URL"] if simulated else None,
        "simulator_api_key": plan.simulator_key(),
        "database": settings["DUMONT_DATABASE_URL"],
        "pids": dict(pids),
    }
