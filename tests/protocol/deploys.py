"""A deploy, as the api makes it: its rows, and its flow. Nothing else here knows how models are served."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.endpoints.deployments import create_deployment
from db.sealing import Sealer
from domain.endpoints.phases import AccessType, ModelType
from domain.endpoints.plans import plan_serving
from domain.instances.instances import InstanceSpec
from domain.market.offers import OfferQuery
from workflow_client.client import WorkflowClient


class Deploys:
    def __init__(self, sealer: Sealer, workflows: WorkflowClient) -> None:
        self._sealer, self._workflows = sealer, workflows
        self._of_instance: dict[int, str] = {}

    async def write(self, session: AsyncSession, user: int) -> int:
        """The rows; the number of its instance."""
        plan = plan_serving(ModelType.LLM, "a/model")
        instance, deployment, _, _ = await create_deployment(
            session,
            self._sealer,
            user_id=user,
            provider_key_id=user,
            spec=InstanceSpec(query=OfferQuery()),
            plan=plan,
            access_type=AccessType.PUBLIC,
        )
        self._of_instance[instance.id] = deployment.endpoint_id
        return instance.id

    async def begin(self, instance_id: int) -> None:
        await self._workflows.start_endpoint(self._of_instance[instance_id], instance_id)
