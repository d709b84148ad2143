"""Workflows as the SDK's sandbox runs them: a call of the clock, of chance or of the network in one fails there.

The worker itself runs them without it, for it costs a third of what a small workflow takes; each golden history and
those of the running system replay in it.
"""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

OURS = ["activities", "clients", "clouds", "db", "domain", "failpoints", "machine", "settings", "workflow_client"]
SHARED = ["attributes", "collecting", "failures", "instance_steps", "interruptible", "options", "serving"]

SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(*OURS, *(f"workflows.{name}" for name in SHARED))
)
"""It imports only a workflow's own file for each run; importing our models too would cost 34 ms a start."""
