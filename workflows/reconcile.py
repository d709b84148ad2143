"""A sweep, every few seconds: whatever an open row demands is served by a running workflow."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reconciling import ReconcileActivities

from workflows.options import SWEEP


@workflow.defn
class ReconcileWorkflow:
    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity_method(
            ReconcileActivities.start_what_rows_demand, summary="start what rows demand", **SWEEP
        )
