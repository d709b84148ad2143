"""Reserving: no offer is taken twice, no limit is passed, nothing is tried that failed."""

from datetime import timedelta

import pytest

from db.instances.tables import Instance
from db.machines.tables import Lease
from db.usage.costs import committed_usd
from db.usage.spending import Limits
from domain.machines.phases import LeaseOutcome, LeaseState
from domain.refusals import GpuLimitReached, NoOfferFree, SpendingCapReached
from tests.db.ledger import HOSTS, PLENTY, Ledger, at_once, offer


async def test_the_best_offer_is_reserved_and_written_down_before_anybody_asks(ledger: Ledger) -> None:
    lease = await ledger.reserve([offer(1), offer(2)])
    assert (lease.offer_id, lease.state, lease.wanted, lease.asked_at) == ("1", LeaseState.RESERVED, True, None)
    assert lease.label.endswith(f"/{lease.id}")
    assert lease.label.startswith("dumont/")


async def test_twenty_reserves_at_once_on_ten_offers_take_each_once(ledger: Ledger) -> None:
    offers = [offer(number) for number in range(10)]
    instances = [await ledger.instance() for _ in range(20)]
    found = await at_once([ledger.reserve(offers, each) for each in instances])
    assert sorted(each.offer_id for each in found if isinstance(each, Lease)) == [str(number) for number in range(10)]
    assert [type(each) for each in found if not isinstance(each, Lease)] == [NoOfferFree] * 10


async def test_two_attempts_for_one_instance_reserve_once(ledger: Ledger) -> None:
    offers, instance_id = [offer(number) for number in range(5)], await ledger.instance()
    found = await at_once([ledger.reserve(offers, instance_id) for _ in range(5)])
    assert len({each.id for each in found if isinstance(each, Lease)}) == 1
    assert (await ledger.reserve(offers, instance_id)).offer_id == "0"


async def test_an_instance_whose_row_forgot_its_lease_gets_that_one_and_no_second(ledger: Ledger) -> None:
    offers, instance_id = [offer(1), offer(2)], await ledger.instance()
    lease = await ledger.reserve(offers, instance_id)
    async with ledger.database.begin() as session:
        (await session.get_one(Instance, instance_id)).lease_id = None
    assert (await ledger.reserve(offers, instance_id)).id == lease.id
    async with ledger.database.begin() as session:
        assert (await session.get_one(Instance, instance_id)).lease_id == lease.id


async def test_a_machine_that_does_not_start_again_is_no_reason_not_to_take_another(ledger: Ledger) -> None:
    offers, instance_id = [offer(1), offer(2)], await ledger.instance()
    lease = await ledger.reserve(offers, instance_id)
    async with ledger.database.begin() as session:
        (await session.get_one(Lease, lease.id)).start_refused = "its GPU is gone"
    assert (await ledger.reserve(offers, instance_id)).offer_id == "2"


async def test_what_was_tried_for_this_instance_is_passed_over_and_free_for_others(ledger: Ledger) -> None:
    offers, instance_id = [offer(1), offer(2)], await ledger.instance()
    await ledger.close((await ledger.reserve(offers, instance_id)).id, LeaseOutcome.OFFER_GONE)
    assert (await ledger.reserve(offers, instance_id)).offer_id == "2"
    assert (await ledger.reserve(offers)).offer_id == "1"


@pytest.mark.parametrize("outcome", [LeaseOutcome.BOOT_FAILED, LeaseOutcome.LOST])
async def test_a_host_that_failed_lately_is_left_alone_for_half_an_hour(ledger: Ledger, outcome: LeaseOutcome) -> None:
    host = next(HOSTS)
    failed = await ledger.reserve([offer(1, host=host)])
    await ledger.close(failed.id, outcome)
    with pytest.raises(NoOfferFree):
        await ledger.reserve([offer(2, host=host)])
    await ledger.shift(failed.id, timedelta(minutes=31), "closed_at")
    assert (await ledger.reserve([offer(2, host=host)])).offer_id == "2"


async def test_a_host_that_served_well_is_taken_again(ledger: Ledger) -> None:
    host = next(HOSTS)
    await ledger.close((await ledger.reserve([offer(1, host=host)])).id)
    assert (await ledger.reserve([offer(1, host=host)])).offer_id == "1"


async def test_the_daily_cap_counts_what_was_spent_and_the_next_hour(ledger: Ledger) -> None:
    limits = Limits(usd_per_day=3, gpus=100)
    held = await ledger.running()
    await ledger.shift(held.id, timedelta(hours=4), "created_at", "asked_at", "rented_at")
    async with ledger.database.begin() as session:
        assert await committed_usd(session, ledger.user_id) == pytest.approx(2.5, abs=0.01)
    with pytest.raises(SpendingCapReached) as refused:
        await ledger.reserve([offer(7, price=0.6)], limits=limits)
    assert refused.value.committed == pytest.approx(2.5, abs=0.01)
    assert (await ledger.reserve([offer(8, price=0.4)], limits=limits)).offer_id == "8"


async def test_many_at_once_do_not_pass_the_cap_together(ledger: Ledger) -> None:
    offers = [offer(number) for number in range(10)]
    instances = [await ledger.instance() for _ in range(10)]
    limits = Limits(usd_per_day=1.6, gpus=100)
    found = await at_once([ledger.reserve(offers, each, limits) for each in instances])
    assert sum(isinstance(each, Lease) for each in found) == 3
    assert sum(isinstance(each, SpendingCapReached) for each in found) == 7


async def test_gpus_that_are_held_count_until_they_are_let_go(ledger: Ledger) -> None:
    limits = Limits(usd_per_day=1000, gpus=4)
    first = await ledger.reserve([offer(1, gpus=3)], limits=limits)
    with pytest.raises(GpuLimitReached):
        await ledger.reserve([offer(2, gpus=2)], limits=limits)
    await ledger.close(first.id)
    assert (await ledger.reserve([offer(2, gpus=2)], limits=limits)).num_gpus == 2


async def test_a_refusal_writes_nothing(ledger: Ledger) -> None:
    with pytest.raises(SpendingCapReached):
        await ledger.reserve([offer(1, price=10)], limits=Limits(usd_per_day=1, gpus=1))
    assert (await ledger.reserve([offer(1)], limits=PLENTY)).offer_id == "1"
