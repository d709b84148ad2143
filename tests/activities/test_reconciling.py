"""Which leases the reconciler speaks to, over the full product of what is and what is wanted."""

from itertools import product

from activities.reconciling import waits_for_a_word
from db.machines.tables import Lease
from domain.machines.phases import LeaseState, Power


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
