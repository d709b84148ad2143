"""Tokens that machines call us with."""

import pytest

from db.machines.lease_tokens import AGENT, VAULT, lease_of, lease_token, living_lease
from db.sealing import Sealer
from domain.ids import new_id
from domain.machines.phases import LeaseOutcome, LeaseState
from tests.db.ledger import Ledger

OLD, NEW = "o" * 32, "n" * 32


def test_a_token_names_its_lease_to_its_service_only() -> None:
    sealer, lease_id = Sealer(NEW), new_id("lease")
    token = lease_token(sealer, lease_id, AGENT)
    assert lease_of(sealer, token, AGENT) == lease_id
    assert lease_of(sealer, token, VAULT) is None
    assert lease_token(sealer, lease_id, AGENT) == token


def test_a_token_outlives_the_secret_in_front_but_not_its_removal() -> None:
    lease_id = new_id("lease")
    token = lease_token(Sealer(OLD), lease_id, AGENT)
    assert lease_of(Sealer(f"{NEW},{OLD}"), token, AGENT) == lease_id
    assert lease_of(Sealer(NEW), token, AGENT) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda token: "",
        lambda token: token[:-1],
        lambda token: token + "x",
        lambda token: token.partition(".")[0],
        lambda token: token.partition(".")[0] + ".",
        lambda token: new_id("lease") + "." + token.partition(".")[2],
        lambda token: "dep_" + token[6:],
        lambda token: token.replace(".", ".é"),
        lambda token: token * 100,
    ],
)
def test_what_is_no_token(change) -> None:  # type: ignore[no-untyped-def]
    sealer = Sealer(NEW)
    assert lease_of(sealer, change(lease_token(sealer, new_id("lease"), AGENT)), AGENT) is None


async def test_a_lease_lives_until_it_is_being_released(ledger: Ledger) -> None:
    lease = await ledger.running()
    async with ledger.database.begin() as session:
        found = await living_lease(session, lease.id)
        assert found is not None
        found.state = LeaseState.STOPPED
        assert await living_lease(session, new_id("lease")) is None
    async with ledger.database.begin() as session:
        assert await living_lease(session, lease.id) is not None
    await ledger.close(lease.id, LeaseOutcome.SERVED)
    async with ledger.database.begin() as session:
        assert await living_lease(session, lease.id) is None
