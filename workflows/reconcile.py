"""For ever: whatever an open row demands is served by a running workflow."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reconciling import ReconcileActivities

from workflows.options import SWEEP


@workflow.defn
class ReconcileWorkflow:
    """One activity that asks to be called again by itself: its looks leave no history. The workers keep it running."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity_method(
            ReconcileActivities.reconcile, summary="start what rows demand, look again every few seconds", **SWEEP
        )
