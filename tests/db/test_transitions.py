"""A lease's states: one way only, the first word stands, whoever comes late changes nothing."""

import asyncio

import pytest

from db.machines import leases
from domain.machines.phases import LeaseOutcome, LeaseState
from tests.db.ledger import Ledger, offer


async def test_of_ten_who_would_ask_at_once_one_may(ledger: Ledger) -> None:
    lease = await ledger.reserve([offer(1)])

    async def ask() -> bool:
        async with ledger.database.begin() as session:
            return await leases.mark_asked(session, lease.id)

    assert sorted(await asyncio.gather(*(ask() for _ in range(10)))) == [False] * 9 + [True]
    assert (await ledger.read(lease.id)).state is LeaseState.ASKED


async def test_nobody_asks_for_what_is_no_longer_wanted(ledger: Ledger) -> None:
    lease = await ledger.reserve([offer(1)])
    async with ledger.database.begin() as session:
        await leases.request_release(session, lease.id, leases.holder_of(lease))
        assert not await leases.mark_asked(session, lease.id)


async def test_what_was_surely_not_sent_may_be_asked_again(ledger: Ledger) -> None:
    lease = await ledger.asked()
    async with ledger.database.begin() as session:
        await leases.unmark_asked(session, lease.id)
        assert await leases.mark_asked(session, lease.id)


@pytest.mark.parametrize("state", [LeaseState.RENTED, LeaseState.RUNNING, LeaseState.RELEASING, LeaseState.CLOSED])
async def test_unasking_is_only_for_what_is_asked(ledger: Ledger, state: LeaseState) -> None:
    lease = await ledger.asked()
    await _bring_to(ledger, lease.id, state)
    async with ledger.database.begin() as session:
        await leases.unmark_asked(session, lease.id)
    after = await ledger.read(lease.id)
    assert (after.state, after.asked_at) == (state, lease.asked_at)


async def test_the_first_machine_stands(ledger: Ledger) -> None:
    lease = await ledger.asked()
    async with ledger.database.begin() as session:
        await leases.mark_rented(session, lease.id, "7")
        await leases.mark_rented(session, lease.id, "8")
    after = await ledger.read(lease.id)
    assert (after.cloud_id, after.state, after.rented_at) == ("7", LeaseState.RENTED, lease.asked_at)


async def test_an_answer_that_comes_while_releasing_is_kept_for_the_release(ledger: Ledger) -> None:
    lease = await ledger.asked()
    await _bring_to(ledger, lease.id, LeaseState.RELEASING)
    async with ledger.database.begin() as session:
        await leases.mark_rented(session, lease.id, "7")
        await leases.mark_running(session, lease.id, "host key")
    after = await ledger.read(lease.id)
    assert (after.cloud_id, after.state, after.host_key) == ("7", LeaseState.RELEASING, None)


async def test_the_first_outcome_stands_and_nothing_leads_back(ledger: Ledger) -> None:
    lease = await ledger.running()
    async with ledger.database.begin() as session:
        await leases.mark_releasing(session, lease.id, LeaseOutcome.LOST, "the first reason")
        await leases.mark_releasing(session, lease.id, LeaseOutcome.SERVED, "another")
        await leases.mark_running(session, lease.id, "another host key")
        await leases.mark_closed(session, lease.id)
        await leases.mark_releasing(session, lease.id, LeaseOutcome.CANCELLED, "a third")
        await leases.mark_running(session, lease.id, "another host key")
    after = await ledger.read(lease.id)
    assert (after.state, after.outcome, after.reason) == (LeaseState.CLOSED, LeaseOutcome.LOST, "the first reason")
    assert (after.host_key, after.wanted) == ("host key", False)


@pytest.mark.parametrize("state", [LeaseState.ASKED, LeaseState.RENTED, LeaseState.RUNNING])
async def test_only_what_is_being_released_closes(ledger: Ledger, state: LeaseState) -> None:
    lease = await ledger.asked()
    await _bring_to(ledger, lease.id, state)
    async with ledger.database.begin() as session:
        await leases.mark_closed(session, lease.id)
    assert (await ledger.read(lease.id)).state is state


async def _bring_to(ledger: Ledger, lease_id: str, state: LeaseState) -> None:
    async with ledger.database.begin() as session:
        if state in (LeaseState.RENTED, LeaseState.RUNNING):
            await leases.mark_rented(session, lease_id, "7")
        if state is LeaseState.RUNNING:
            await leases.mark_running(session, lease_id, "host key")
        if state in (LeaseState.RELEASING, LeaseState.CLOSED):
            await leases.mark_releasing(session, lease_id, LeaseOutcome.CANCELLED, "over")
        if state is LeaseState.CLOSED:
            await leases.mark_closed(session, lease_id)
