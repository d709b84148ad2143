"""Which leases the reconciler speaks to, over the full product of what is and what is wanted; and that none is last."""

from itertools import product
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest, ListWorkflowExecutionsResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities.errors import NotYet
from activities.reconciling import ReconcileActivities, waits_for_a_word
from db.machines.tables import Lease
from db.session import Database
from domain.machines.phases import LeaseState, Power
from settings import Settings
from tests.db.ledger import Ledger
from workflow_client.client import WorkflowClient


def test_a_lease_waits_for_a_word_where_its_flow_would_act_on_one() -> None:
    waiting = {
        (state, power)
        for state, power in product(LeaseState, Power)
        if waits_for_a_word(Lease(state=state, power=power, wanted=True, start_refused=None))
    }
    assert waiting == {
        (LeaseState.RUNNING, Power.STOPPED),
        (LeaseState.STARTING, Power.STOPPED),
        (LeaseState.STOPPED, Power.RUNNING),
    }


def test_a_release_is_said_again_until_it_has_begun() -> None:
    for state, power in product(LeaseState, Power):
        lease = Lease(state=state, power=power, wanted=False, start_refused=None)
        assert waits_for_a_word(lease) is (state is not LeaseState.RELEASING)


class Refusing(Client):
    """Nothing runs, and what is started or told is noted; for some of it there is no room."""

    def __init__(self) -> None:
        self.full: set[str] = set()
        self.started: set[str] = set()

    @property
    def namespace(self) -> str:
        return "default"

    @property
    def workflow_service(self) -> Any:
        return self

    async def list_workflow_executions(
        self, request: ListWorkflowExecutionsRequest, *, retry: bool
    ) -> ListWorkflowExecutionsResponse:
        return ListWorkflowExecutionsResponse()

    async def start_workflow(self, workflow: Any, *arguments: Any, **options: Any) -> Any:
        if options["id"] in self.full:
            raise RPCError("no room", RPCStatusCode.RESOURCE_EXHAUSTED, b"")
        self.started.add(options["id"])


async def test_a_flow_that_cannot_be_started_keeps_no_other_from_it(database: Database, ledger: Ledger) -> None:
    for _ in range(2):
        await ledger.asked()
    temporal = Refusing()
    reconciling = ReconcileActivities(database, temporal, WorkflowClient(temporal, Settings(_env_file=None)), every=1)
    with pytest.raises(NotYet):
        await ActivityEnvironment().run(reconciling.reconcile)
    every, temporal.started = temporal.started, set()
    kinds = {each.partition("-")[0] for each in every}
    assert kinds >= {"machine", "instance", "watch"}
    temporal.full = {min(each for each in every if each.startswith(kind)) for kind in kinds}
    with pytest.raises(RPCError):  # so that it is tried again
        await ActivityEnvironment().run(reconciling.reconcile)
    assert temporal.started == every - temporal.full
