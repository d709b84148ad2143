"""A sweep, every hour or so: what jobs left is let go of when its time is over."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.jobs.artifacts import ArtifactActivities

from workflows.options import CLOUD


@workflow.defn
class ExpireWorkflow:
    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity_method(
            ArtifactActivities.expire_jobs, summary="let go of old artifacts", **CLOUD
        )
