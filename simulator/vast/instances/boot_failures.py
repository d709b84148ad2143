"""How machines fail to come up, in the words and states that operators of real ones have seen (clouds.md A5, B2)."""

from dataclasses import dataclass
from typing import Any

from simulator.faults import BootFault, StartFault
from simulator.vast.records import Contract

LOADING = {"actual_status": "loading"}
EXITED = {"actual_status": "exited"}
ABANDONED = {"actual_status": "created", "cur_state": "stopped", "next_state": "stopped", "intended_status": "stopped"}
"""created with everything else stopped: given up in the middle of the boot (dstack's rule)"""


@dataclass(frozen=True, slots=True)
class Failure:
    states: dict[str, Any]
    message: str


OCI = ("Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime "
       "create failed: runc create failed: unable to start container process: error during container init: nvidia "
       "device is held by another instance: unknown")  # fmt: skip
FAILURES: dict[BootFault | StartFault, Failure] = {
    "exits": Failure(EXITED, "Error response from daemon: container exited at once"),
    "stuck_created": Failure({"actual_status": "created"}, ""),
    "oci_error": Failure(ABANDONED, OCI),
    "port_taken": Failure(
        EXITED,
        "Error response from daemon: driver failed programming external connectivity on endpoint {name}: "
        "Bind for 0.0.0.0:{port} failed: port is already allocated",
    ),
    "no_space": Failure(LOADING, "failed to register layer: write /usr/lib/libcudnn.so: no space left on device"),
    "image_not_found": Failure(
        LOADING, "Error response from daemon: failed to resolve reference {image}: {image}: not found"
    ),
    "odd_status": Failure({"actual_status": "unknown"}, ""),
    "stays_null": Failure({"actual_status": None}, ""),
}
"""all but those which are no end but a wait: ``never_boots``, ``never_starts``, ``half_started``"""


def failed(contract: Contract, fault: BootFault | StartFault) -> dict[str, Any]:
    """The fields that a failed boot leaves on the contract."""
    failure = FAILURES[fault]
    port = next(iter(contract.ports.values()), contract.ssh_port)
    text = failure.message.format(name=f"C.{contract.id}", port=port, image=contract.image)
    return {**failure.states, "status_msg": text}
