"""Rent, release, watch and reap, on every kind of cloud: nothing in them knows which."""

from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import func, select, update
from temporalio.service import RPCError
from temporalio.testing import ActivityEnvironment

from activities.errors import Fault, Final, NotYet
from activities.machines.leases import LeaseEnding
from clouds.keys import KEY_PURPOSE
from clouds.provider import Verb
from db.accounts.tables import Account, ProviderKey
from db.installation_identity import ensure_installation
from db.machines import leases
from db.machines.tables import Lease, Orphan
from db.sealing import Sealer
from db.session import Database
from db.tables import Alarm
from domain.accounts.phases import KeyStatus
from domain.machines.labels import Label, label_of
from domain.machines.machines import Seen
from domain.machines.phases import LeaseOutcome, LeaseState
from tests.clouds.troubles import Service, Trouble
from tests.clouds.world import World, attempt, perform


@pytest.fixture
async def world(database: Database, service: Service) -> World:
    async with database.begin() as session:
        await ensure_installation(session)
    return await World(database, service).begin()


async def home(world: World) -> str:
    async with world.database.begin() as session:
        return await leases.installation_id(session)


async def alarms(world: World) -> list[str]:
    async with world.database.begin() as session:
        return [each.text for each in await session.scalars(select(Alarm).where(Alarm.closed_at.is_(None)))]


async def test_one_machine_is_rented_for_one_lease_however_often_it_is_asked_for(world: World) -> None:
    lease = await world.rented()
    await perform(world.machines.rent_machine, lease.id)
    assert lease.state is LeaseState.RENTED
    assert world.service.there() == {lease.cloud_id: label_of(lease.label)}


@pytest.mark.parametrize("trouble", [Trouble.LOST_AFTER, Trouble.NO_ID])
async def test_a_machine_whose_answer_was_lost_is_adopted(world: World, trouble: Trouble) -> None:
    world.service.spoil(Verb.CREATE, trouble)
    lease = await world.rented()
    assert list(world.service.there()) == [lease.cloud_id]


async def test_of_two_machines_for_one_lease_the_oldest_is_kept_and_both_are_released(world: World) -> None:
    world.service.spoil(Verb.CREATE, Trouble.LOST_BEFORE)
    lease = await world.lease()
    await attempt(world.machines.rent_machine, lease.id)
    first, second = (world.service.rent_by_hand(label_of(lease.label)) for _ in range(2))
    await perform(world.machines.rent_machine, lease.id)
    assert (await world.read(lease.id)).cloud_id == first
    await world.end(lease)
    await perform(world.machines.release_machine, lease.id)
    assert second not in world.service.there()
    assert world.service.there() == {}


@pytest.mark.parametrize("trouble", [Trouble.NOT_SENT, Trouble.THROTTLED])
async def test_a_request_that_surely_made_nothing_is_made_again(world: World, trouble: Trouble) -> None:
    world.service.spoil(Verb.CREATE, trouble)
    lease = await world.rented()
    assert list(world.service.there()) == [lease.cloud_id]


@pytest.mark.parametrize(
    ("trouble", "fault"),
    [
        (Trouble.CAPACITY_GONE, Fault.OFFER_GONE),
        (Trouble.REFUSED, Fault.REFUSED),
        (Trouble.KEY_REFUSED, Fault.KEY_REFUSED),
        (Trouble.LOST_BEFORE, Fault.ANSWER_LOST),
    ],
)
async def test_a_rent_that_comes_to_nothing_says_why(world: World, trouble: Trouble, fault: Fault) -> None:
    world.service.spoil(Verb.CREATE, trouble)
    lease = await world.lease()
    with pytest.raises(Final) as final:
        await perform(world.machines.rent_machine, lease.id)
    assert final.value.type == fault
    assert world.service.there() == {}
    assert (await world.providers.keys.of_user(world.key.user_id or 0, world.service.cloud.name)).id == world.key.id


async def test_a_machine_that_was_made_although_refused_is_released(world: World) -> None:
    world.service.spoil(Verb.CREATE, Trouble.HALF_MADE)
    lease = await world.lease()
    with pytest.raises(Final):
        await perform(world.machines.rent_machine, lease.id)
    assert list(world.service.there()) == [(await world.read(lease.id)).cloud_id]
    await world.end(lease)
    await perform(world.machines.release_machine, lease.id)
    assert world.service.there() == {}


@pytest.mark.parametrize(
    ("verb", "trouble"),
    [
        *(
            (Verb.DELETE, each)
            for each in (Trouble.REFUSED, Trouble.THROTTLED, Trouble.UNREADABLE, Trouble.KEY_REFUSED)
        ),
        *((Verb.DELETE, each) for each in (Trouble.LOST_BEFORE, Trouble.LOST_AFTER)),
        *((verb, Trouble.UNREADABLE) for verb in (Verb.LIST, Verb.GET)),
        *((verb, Trouble.REFUSED) for verb in (Verb.LIST, Verb.GET)),
    ],
)
async def test_a_release_goes_on_until_nothing_is_left(world: World, verb: Verb, trouble: Trouble) -> None:
    lease = await world.rented()
    await world.end(lease)
    world.service.spoil(verb, trouble, 2)
    await perform(world.machines.release_machine, lease.id)
    assert world.service.there() == {}
    assert (await world.read(lease.id)).state is LeaseState.CLOSED


async def test_an_end_stands_only_by_what_it_was_decided_on(world: World) -> None:
    lease = await world.rented()
    for was_kept, is_kept, is_wanted in product((True, False), repeat=3):
        async with world.database.begin() as session:
            row = {"state": LeaseState.RENTED, "keeps_files": is_kept, "wanted": is_wanted}
            await session.execute(update(Lease).where(Lease.id == lease.id).values(row))
        ending = LeaseEnding(lease_id=lease.id, outcome=LeaseOutcome.SERVED, reason="over", keeps_files=was_kept)
        stands = not (is_wanted and is_kept and not was_kept)  # its holder came to keep files there after that
        told = await world.leases.record_ending(ending)
        assert told.state is (await world.read(lease.id)).state
        assert told.state is (LeaseState.RELEASING if stands else LeaseState.RENTED)
    await perform(world.machines.release_machine, lease.id)


async def test_our_key_is_attached(world: World) -> None:
    lease = await world.rented()
    world.service.spoil(Verb.ATTACH_KEY, Trouble.THROTTLED)
    await perform(world.machines.attach_key, lease.id)


async def test_the_watch_tells_what_became_of_a_machine(world: World) -> None:
    lease = await world.rented()
    world.service.boot()
    world.service.spoil(Verb.LIST, Trouble.UNREADABLE)
    await world.look()
    assert world.told.seen_of == {}  # not known is not changed
    await world.look()
    assert world.told.seen_of[lease.id].state is Seen.UP
    world.service.lose(str(lease.cloud_id))
    world.service.spoil(Verb.GET, Trouble.REFUSED)
    await world.look()
    assert world.told.seen_of[lease.id].state is Seen.UP
    await world.look()
    assert world.told.seen_of[lease.id].state is Seen.ABSENT


async def test_a_machine_whose_row_is_odd_keeps_no_other_unseen_and_is_unknown_itself(world: World) -> None:
    first, last = await world.rented(), await world.rented()
    world.service.boot()
    await world.look()
    address = world.told.seen_of[last.id].public_ipaddr
    world.told.seen_of.clear()
    world.service.lose(str(first.cloud_id))
    world.service.spoil(Verb.LIST, Trouble.ODD_ROW)
    await world.look()
    assert world.told.seen_of[first.id].state is Seen.ABSENT
    assert world.told.seen_of[last.id].state is Seen.UNKNOWN
    assert world.told.seen_of[last.id].public_ipaddr == address  # where it answered last stays known
    assert world.told.seen_of[last.id].ports.get("22/tcp") or world.service.cloud.capabilities.relay
    await world.look()
    assert world.told.seen_of[last.id].state is Seen.UP


@pytest.mark.parametrize("trouble", [Trouble.ROW_WITHOUT_ID, Trouble.BARE_ROW])
async def test_a_machine_is_not_lost_while_a_row_that_cannot_be_read_may_be_its_own(
    world: World, trouble: Trouble
) -> None:
    """Its page denies it too; and one that comes up is seen by its page."""
    lost, twin = await world.rented(), await world.rented()
    world.service.boot()
    await world.look()
    row = world.service.rent_by_hand(label_of(lost.label))
    world.service.lose(str(lost.cloud_id))
    world.service.lose(str(twin.cloud_id))
    world.service.spoil(Verb.LIST, trouble)
    await world.look()
    assert world.told.seen_of[lost.id].state is Seen.UP
    hides_all = trouble is Trouble.BARE_ROW
    assert world.told.seen_of[twin.id].state is (Seen.UP if hides_all else Seen.ABSENT)
    world.service.lose(row)
    await world.look()
    assert world.told.seen_of[lost.id].state is Seen.ABSENT


@pytest.mark.parametrize("trouble", [Trouble.ROW_WITHOUT_ID, Trouble.BARE_ROW])
async def test_a_machine_whose_row_says_no_id_comes_up_by_its_own_page(world: World, trouble: Trouble) -> None:
    lease = await world.rented()
    world.service.boot()
    world.service.spoil(Verb.LIST, trouble)
    await world.look()
    assert world.told.seen_of[lease.id].state is Seen.UP


@pytest.mark.parametrize("trouble", [Trouble.ROW_WITHOUT_ID, Trouble.BARE_ROW])
async def test_nothing_is_gone_while_a_row_that_cannot_be_read_may_be_it(world: World, trouble: Trouble) -> None:
    lease = await world.rented()
    twin = world.service.rent_by_hand(label_of(lease.label))
    await world.end(lease)
    await attempt(world.machines.release_machine, lease.id)
    assert list(world.service.there()) == [twin]
    world.service.spoil(Verb.LIST, trouble)
    await attempt(world.machines.release_machine, lease.id, 2)
    assert (await world.read(lease.id)).state is LeaseState.RELEASING
    await perform(world.machines.release_machine, lease.id)
    assert world.service.there() == {}


@pytest.mark.parametrize("trouble", [Trouble.ROW_WITHOUT_ID, Trouble.BARE_ROW])
async def test_a_rent_came_to_something_while_a_row_that_cannot_be_read_may_be_it(
    world: World, trouble: Trouble
) -> None:
    world.service.spoil(Verb.CREATE, Trouble.LOST_AFTER)
    lease = await world.lease()
    await attempt(world.machines.rent_machine, lease.id)
    async with world.database.begin() as session:
        long_ago = Lease.asked_at - timedelta(hours=1)
        await session.execute(update(Lease).where(Lease.id == lease.id).values(asked_at=long_ago))
    world.service.spoil(Verb.LIST, trouble)
    assert isinstance(await attempt(world.machines.rent_machine, lease.id), NotYet)
    await perform(world.machines.rent_machine, lease.id)
    assert [(await world.read(lease.id)).cloud_id] == list(world.service.there())


async def test_a_machine_whose_flow_cannot_be_told_keeps_no_other_untold(world: World) -> None:
    first, second = sorted([(await world.rented()).id, (await world.rented()).id])
    world.service.boot()
    world.told.unreachable.add(first)
    with pytest.raises(RPCError):  # so that it is tried again
        await world.look()
    assert world.told.seen_of.keys() == {second}
    world.told.unreachable.clear()
    await world.look()
    assert world.told.seen_of[first].state is Seen.UP


async def test_a_machine_whose_page_does_not_answer_keeps_no_other_untold(world: World) -> None:
    first, second = sorted([await world.rented(), await world.rented()], key=lambda each: each.id)
    world.service.boot()
    world.service.lose(str(first.cloud_id))
    world.service.spoil(Verb.GET, Trouble.LOST_BEFORE)
    await world.look()
    assert {id: seen.state for id, seen in world.told.seen_of.items()} == {second.id: Seen.UP}
    await world.look()
    assert world.told.seen_of[first.id].state is Seen.ABSENT


async def test_the_reaper_ends_what_no_open_lease_accounts_for_and_nothing_else(world: World) -> None:
    held, over = await world.rented(), await world.rented()
    foreign = world.service.rent_by_hand(None)
    theirs = world.service.rent_by_hand(Label("another home", "lease_1"))
    await world.end(over)
    async with world.database.begin() as session:
        await leases.mark_closed(session, over.id)  # as if the cloud had lied
    assert await world.sweep() == []
    await world.pass_apart()
    assert await world.sweep() == [f"destroy {over.cloud_id}"]
    assert set(world.service.there()) == {held.cloud_id, foreign, theirs}


async def test_what_has_no_lease_at_all_is_stopped_where_that_can_be_done_and_destroyed_later(world: World) -> None:
    unknown = world.service.rent_by_hand(Label(await home(world), "lease_nobodyknows"))
    assert await world.sweep() == []
    await world.pass_apart()
    assert await world.sweep() == [f"stop {unknown}"]
    stops = world.service.cloud.capabilities.stops
    told = "was stopped" if stops else "cannot be stopped"
    assert any(unknown in text and told in text for text in await alarms(world))
    assert await world.sweep() == []
    async with world.database.begin() as session:
        await session.execute(update(Orphan).values(stopped_at=Orphan.stopped_at - timedelta(hours=1)))
    assert await world.sweep() == [f"destroy {unknown}"]
    assert world.service.there() == {}


async def test_a_listing_that_failed_suspects_nobody(world: World) -> None:
    unknown = world.service.rent_by_hand(Label(await home(world), "lease_nobodyknows"))
    world.service.spoil(Verb.LIST, Trouble.UNREADABLE, 3)
    assert await world.sweep() == []
    assert unknown in world.service.there()


async def test_a_strangers_odd_row_blinds_no_sweep(world: World) -> None:
    over = await orphans(world, 1)
    world.service.rent_by_hand(None)
    for trouble in (Trouble.ODD_ROW, Trouble.ROW_WITHOUT_ID):
        world.service.spoil(Verb.LIST, trouble)
        await perform(world.reaping.sweep_account, world.account_id)
    await world.pass_apart()
    world.service.spoil(Verb.LIST, Trouble.ODD_ROW)
    assert await world.sweep() == [f"destroy {each}" for each in over]


async def test_an_orphan_whose_row_cannot_be_read_in_between_is_still_the_same_one(world: World) -> None:
    """It is told of while its id is not known; and another that is gone meanwhile is no orphan any more."""
    gone, stays = await orphans(world, 2)
    await world.sweep()
    await world.pass_apart()
    world.service.lose(gone)
    world.service.spoil(Verb.LIST, Trouble.ROW_WITHOUT_ID)
    assert await world.sweep() == []
    async with world.database.begin() as session:
        mine = Orphan.account_id == world.account_id, Orphan.ended_at.is_(None)
        assert (await session.scalars(select(Orphan.cloud_id).where(*mine))).all() == [stays]
    assert any(f"Account {world.account_id} lists a machine" in each for each in await alarms(world))
    assert await world.sweep() == [f"destroy {stays}"]
    assert not any(f"Account {world.account_id} lists a machine" in each for each in await alarms(world))


@pytest.mark.parametrize("trouble", [Trouble.LOST_BEFORE, Trouble.UNREADABLE, Trouble.NOT_SENT])
async def test_an_orphan_whose_end_gets_no_answer_is_told_of_at_once_and_keeps_no_other(
    world: World, trouble: Trouble
) -> None:
    first, second = await orphans(world, 2)
    await world.sweep()
    await world.pass_apart()
    world.service.spoil(Verb.DELETE, trouble, 2)
    assert await world.sweep() == [f"destroy {second}"]
    assert any(first in text and "does not answer" in text for text in await alarms(world))
    world.service.lose(first)
    await world.sweep()
    assert not any(first in text and "does not answer" in text for text in await alarms(world))  # it went by itself


async def test_an_orphan_whose_page_does_not_answer_keeps_no_other(world: World) -> None:
    first, second = await orphans(world, 2)
    await world.sweep()
    await world.pass_apart()
    world.service.spoil(Verb.GET, Trouble.LOST_BEFORE, 2)
    assert await world.sweep() == [f"destroy {second}"]
    assert await world.sweep() == [f"destroy {first}"]
    assert not any(first in text and "does not answer" in text for text in await alarms(world))


async def orphans(world: World, count: int) -> list[str]:
    """Machines of leases that are closed, as if the cloud had lied. In the order in which the reaper goes on."""
    over = [await world.rented() for _ in range(count)]
    async with world.database.begin() as session:
        for each in over:
            await leases.mark_releasing(session, each.id, LeaseOutcome.SERVED, "over")
            await leases.mark_closed(session, each.id)
    return [str(each.cloud_id) for each in over]


async def test_an_account_that_was_not_swept_for_long_is_told_of_until_it_is(world: World) -> None:
    told = f"Account {world.account_id} was not swept"

    async def is_told() -> bool:
        assert world.account_id in await ActivityEnvironment().run(world.reaping.accounts_to_sweep)
        return any(told in text for text in await alarms(world))

    async def pass_by(minutes: int, *, was_swept: bool) -> None:
        ago = func.clock_timestamp() - timedelta(minutes=minutes)
        earlier = {"created_at": ago, "swept_at": ago if was_swept else None}
        async with world.database.begin() as session:
            await session.execute(update(Account).where(Account.id == world.account_id).values(earlier))

    for was_swept in (False, True):
        await pass_by(9, was_swept=was_swept)
        assert not await is_told()
        await pass_by(11, was_swept=was_swept)
        assert await is_told()
        world.service.spoil(Verb.LIST, Trouble.UNREADABLE)
        await attempt(world.reaping.sweep_account, world.account_id)
        assert await is_told()
        await attempt(world.reaping.sweep_account, world.account_id)
        assert not any(told in text for text in await alarms(world))
        assert not await is_told()


async def test_while_a_key_is_refused_another_one_of_the_account_serves(world: World) -> None:
    lease = await world.rented()
    other = await world.save_key(world.key.user_id or 0, "another-key-of-account-1")
    await world.providers.remember_refused(world.key.id)
    assert other.account_id == world.account_id
    await world.end(lease)
    await perform(world.machines.release_machine, lease.id)
    assert other.status is KeyStatus.VALID
    assert world.service.there() == {}


async def test_a_refused_key_that_nobody_can_open_stops_no_sweep(world: World) -> None:
    other = await world.save_key(world.key.user_id or 0, "another-key-of-account-1")
    async with world.database.begin() as session:
        values = {
            "status": KeyStatus.REFUSED,
            "checked_at": func.clock_timestamp() - timedelta(hours=1),
            "sealed": Sealer("a secret that the settings no longer name").seal("a key", KEY_PURPOSE),
        }
        await session.execute(update(ProviderKey).where(ProviderKey.id == world.key.id).values(values))
    assert other.account_id == world.account_id
    unknown = world.service.rent_by_hand(Label(await home(world), "lease_nobodyknows"))
    assert await world.sweep() == []
    await world.pass_apart()
    (done,) = await world.sweep()
    assert unknown in done
