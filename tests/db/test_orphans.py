"""What the reaper remembers from one listing to the next."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import update

from db.machines import orphans
from db.machines.tables import Orphan
from domain.machines.phases import LeaseState
from domain.machines.reaping import Candidate, Finding, KnownLease, ReapAction, Sighting
from tests.db.ledger import Ledger

HOUR = timedelta(hours=1)


def candidate(cloud_id: str = "7", finding: Finding = Finding.RELEASE) -> Candidate:
    return Candidate(cloud_id=cloud_id, label="dumont/home/lease_1", finding=finding)


async def note(ledger: Ledger, *found: Candidate) -> dict[str, Sighting]:
    """A listing in which these are suspect, an hour after the one before."""
    async with ledger.database.begin() as session:
        rows = update(Orphan).where(Orphan.account_id == ledger.account_id)
        moved = {"first_seen_at": Orphan.first_seen_at - HOUR, "stopped_at": Orphan.stopped_at - HOUR}
        await session.execute(rows.values(moved))
        await orphans.note(session, ledger.account_id, found)
    async with ledger.database.begin() as session:
        return await orphans.sightings(session, ledger.account_id)


async def ages(ledger: Ledger, *found: Candidate) -> dict[str, int]:
    """For how many hours each has been under this suspicion."""
    seen = await note(ledger, *found)
    async with ledger.database.begin() as session:
        now = await orphans.database_time(session)
    return {cloud_id: round((now - each.first_seen_at) / HOUR) for cloud_id, each in seen.items()}


async def test_a_suspicion_that_lasts_keeps_its_beginning(ledger: Ledger) -> None:
    assert await ages(ledger, candidate()) == {"7": 0}
    assert await ages(ledger, candidate()) == {"7": 1}
    assert await ages(ledger, candidate(), candidate("8")) == {"7": 2, "8": 0}


async def test_one_that_was_given_up_in_between_starts_anew(ledger: Ledger) -> None:
    await note(ledger, candidate())
    assert await ages(ledger) == {}
    assert await ages(ledger, candidate()) == {"7": 0}


async def test_another_suspicion_starts_anew(ledger: Ledger) -> None:
    await note(ledger, candidate(finding=Finding.UNKNOWN))
    assert await ages(ledger, candidate(finding=Finding.RELEASE)) == {"7": 0}


async def test_when_it_was_stopped_is_kept_and_forgotten_with_the_suspicion(ledger: Ledger) -> None:
    await note(ledger, candidate(finding=Finding.UNKNOWN))
    for _ in range(2):
        async with ledger.database.begin() as session:
            await orphans.record_action(session, ledger.account_id, "7", ReapAction.STOP)
            now = await orphans.database_time(session)
        stopped_at = (await note(ledger, candidate(finding=Finding.UNKNOWN)))["7"].stopped_at
    assert stopped_at is not None
    assert round((now - stopped_at) / HOUR) == 2
    await note(ledger)
    assert (await note(ledger, candidate(finding=Finding.UNKNOWN)))["7"].stopped_at is None


async def test_what_was_destroyed_is_a_new_suspect_if_it_shows_again(ledger: Ledger) -> None:
    await note(ledger, candidate())
    async with ledger.database.begin() as session:
        await orphans.record_action(session, ledger.account_id, "7", ReapAction.DESTROY)
        assert await orphans.sightings(session, ledger.account_id) == {}
    assert await ages(ledger, candidate()) == {"7": 0}


async def test_accounts_are_apart(ledger: Ledger) -> None:
    await note(ledger, candidate())
    other = Ledger(ledger.database)
    await other.begin()
    assert await ages(other) == {}
    assert await ages(ledger, candidate()) == {"7": 1}


async def test_what_the_ledger_knows_of_labels(ledger: Ledger) -> None:
    reserved, running, closed = await ledger.asked(), await ledger.running(), await ledger.running()
    await ledger.close(closed.id)
    labels = [reserved.label, running.label, closed.label, "dumont/home/lease_nobodyknowsthis1"]
    async with ledger.database.begin() as session:
        known = await orphans.known_leases(session, labels)
    assert known == {
        reserved.label: KnownLease(is_open=True, cloud_id=None),
        running.label: KnownLease(is_open=True, cloud_id=running.cloud_id),
        closed.label: KnownLease(is_open=False, cloud_id=closed.cloud_id),
    }
    assert (await ledger.read(closed.id)).state is LeaseState.CLOSED


async def word_for(ledger: Ledger, shown: Sequence[Orphan]) -> int:
    async with ledger.database.begin() as session:
        return await orphans.permit(session, shown)


async def shown(ledger: Ledger) -> Sequence[Orphan]:
    async with ledger.database.begin() as session:
        return [row for row in await orphans.present(session) if row.account_id == ledger.account_id]


async def permitted(ledger: Ledger) -> set[str]:
    async with ledger.database.begin() as session:
        now = await orphans.database_time(session)
        seen = await orphans.sightings(session, ledger.account_id)
    return {number for number, each in seen.items() if each.permitted_until is not None and now < each.permitted_until}


async def test_a_persons_word_holds_for_what_was_shown_and_for_one_step(ledger: Ledger) -> None:
    await note(ledger, candidate("7"), candidate("8"))
    before = await shown(ledger)
    async with ledger.database.begin() as session:
        await orphans.note(session, ledger.account_id, [candidate("7"), candidate("8"), candidate("9")])
    assert await word_for(ledger, before) == 2
    assert await permitted(ledger) == {"7", "8"}
    async with ledger.database.begin() as session:
        await orphans.record_action(session, ledger.account_id, "7", ReapAction.STOP)
    assert await permitted(ledger) == {"8"}


async def test_a_word_about_another_suspicion_than_the_present_one_is_void(ledger: Ledger) -> None:
    await note(ledger, candidate("7"), candidate("8", Finding.UNKNOWN))
    before = await shown(ledger)
    async with ledger.database.begin() as session:
        await orphans.note(
            session, ledger.account_id, [candidate("7", Finding.UNKNOWN), candidate("8", Finding.UNKNOWN)]
        )
        await orphans.record_action(session, ledger.account_id, "8", ReapAction.STOP)
    assert await word_for(ledger, before) == 0
    assert await word_for(ledger, await shown(ledger)) == 2
    async with ledger.database.begin() as session:
        await orphans.note(session, ledger.account_id, [candidate("7")])
    assert await permitted(ledger) == set()
