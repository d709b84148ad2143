"""What a person sees of a flow in the Temporal Web UI, beside its steps."""

from temporalio import workflow
from temporalio.common import SearchAttributeKey

PHASE = SearchAttributeKey.for_keyword("DumontPhase")


def show_phase(phase: str, details: str) -> None:
    """Set the phase to filter by, and the markdown of the details panel. One history event a change of phase."""
    workflow.set_current_details(details)
    if workflow.info().typed_search_attributes.get(PHASE) != phase:
        workflow.upsert_search_attributes([PHASE.value_set(phase)])
