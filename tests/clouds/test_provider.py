"""What every provider promises: each verb, each error, and never a "none" where nothing is known."""

import pytest

from clouds.errors import CapacityGone, KeyRefused, ProviderError, Refused, Unavailable
from clouds.provider import Machine, MachineRequest, Provider, Verb
from domain.machines.labels import Label
from domain.machines.machines import Seen
from domain.market.offers import OfferQuery
from tests.clouds.troubles import ANY_REQUEST, MEANS, Service, Trouble, opened

LABEL = Label("home", "lease_1")
VERBS = [*Verb]


async def call(provider: Provider, service: Service, verb: Verb, cloud_id: str) -> object:
    """One request of this verb."""
    if verb is Verb.ACCOUNT:
        return await provider.account()
    if verb is Verb.OFFERS:
        return await provider.offers(OfferQuery(), gpu_names=None, order="price_usd_per_hour")
    if verb is Verb.CREATE:
        return await provider.create(request(service), deadline=5)
    if verb is Verb.LIST:
        return await provider.list()
    if verb is Verb.GET:
        return await provider.get(cloud_id)
    if verb is Verb.ATTACH_KEY:
        await provider.attach_key(cloud_id, "ssh-ed25519 AAAA")
    else:
        await {Verb.DELETE: provider.delete, Verb.START: provider.start, Verb.STOP: provider.stop}[verb](cloud_id)
    return None


def request(service: Service, label: Label = LABEL) -> MachineRequest:
    return MachineRequest(
        label=label, offer_id=service.offer_ids[0], image="ubuntu", disk_gb=10, startup_script="true", ports=[8000]
    )


async def rent(service: Service, label: Label = LABEL) -> str:
    cloud_id = await opened(service).create(request(service, label), deadline=5)
    assert cloud_id is not None
    return cloud_id


async def listed_at(service: Service, labels: list[Label] | None = None) -> list[Machine]:
    """What it lists, where every row can be read."""
    listing = await opened(service).list(labels)
    assert not listing.hidden
    return listing.machines


async def test_a_key_tells_its_account(service: Service) -> None:
    account = await opened(service).account()
    assert (account.credit, isinstance(account.id, str)) == (12.5, True)
    with pytest.raises(KeyRefused) as refused:
        await opened(service, "a key of nobody").account()
    assert refused.value.cloud == service.cloud.title


async def test_offers_have_ids_that_rent(service: Service) -> None:
    offers = await opened(service).offers(OfferQuery(), gpu_names=None, order="price_usd_per_hour")
    assert sorted(each.id for each in offers) == sorted(service.offer_ids)
    assert all(isinstance(each.host_id, str) for each in offers)
    assert bool(offers[0].num_gpus) is service.cloud.capabilities.gpus


async def test_a_machine_is_found_by_its_label_and_by_its_id(service: Service) -> None:
    cloud_id = await rent(service)
    assert service.there() == {cloud_id: LABEL}
    (listed,) = await listed_at(service, [LABEL])
    shown = await opened(service).get(cloud_id)
    assert listed == shown
    assert (listed.cloud_id, listed.label, listed.seen.state) == (cloud_id, LABEL, Seen.BOOTING)
    service.boot()
    (running,) = await listed_at(service)
    assert running.seen.state is Seen.UP
    assert running.seen.public_ipaddr is not None
    assert "22/tcp" in running.seen.ports


async def test_labels_are_compared_whole(service: Service) -> None:
    await rent(service, Label("home", "lease_10"))
    await rent(service, Label("home2", "lease_1"))
    foreign = service.rent_by_hand(None)
    assert await listed_at(service, [LABEL]) == []
    assert {each.cloud_id: each.label for each in await listed_at(service)} == service.there()
    assert service.there()[foreign] is None


async def test_a_long_listing_is_whole_and_asks_for_its_turn_before_each_further_page(service: Service) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        turns += 1

    ids = [await rent(service, Label("home", f"lease_{number}")) for number in range(60)]
    assert [each.cloud_id for each in (await opened(service).list(turn=turn)).machines] == ids  # the oldest first
    pages = -(-60 // service.cloud.capabilities.listing_rows)
    assert turns == pages - 1


async def test_a_row_needs_no_more_than_an_id_and_a_label(service: Service) -> None:
    first, second = await rent(service), await rent(service, Label("home", "lease_2"))
    service.boot()
    service.spoil(Verb.LIST, Trouble.ODD_ROW)
    whole, odd = await listed_at(service)
    assert (whole.cloud_id, whole.seen.state) == (first, Seen.UP)
    assert (odd.cloud_id, odd.label, odd.seen.state) == (second, Label("home", "lease_2"), Seen.UNKNOWN)
    assert "public_ipaddr" in odd.unreadable or odd.seen.public_ipaddr is not None
    service.spoil(Verb.GET, Trouble.ODD_ROW)
    shown = await opened(service).get(second)
    assert shown is not None
    assert shown.seen.state is Seen.UNKNOWN


async def test_a_row_without_an_id_hides_a_machine_that_is_there(service: Service) -> None:
    first, last = await rent(service), Label("home", "lease_2")
    await rent(service, last)
    for trouble, may_be in [(Trouble.ROW_WITHOUT_ID, {last}), (Trouble.BARE_ROW, {last, LABEL})]:
        service.spoil(Verb.LIST, trouble)
        listing = await opened(service).list()
        assert [each.cloud_id for each in listing.machines] == [first]
        assert {label for label in (last, LABEL) if listing.may_hide(label)} == may_be
        service.spoil(Verb.LIST, trouble)
        assert (await opened(service).list([last])).may_hide(last)


async def test_a_strangers_row_without_an_id_hides_nothing_of_ours(service: Service) -> None:
    mine = await rent(service)
    service.rent_by_hand(None)
    service.spoil(Verb.LIST, Trouble.ROW_WITHOUT_ID)
    assert [each.cloud_id for each in await listed_at(service)] == [mine]


async def test_an_offer_that_cannot_be_read_hides_no_other(service: Service) -> None:
    service.spoil(Verb.OFFERS, Trouble.ODD_ROW)
    offers = await opened(service).offers(OfferQuery(), gpu_names=None, order="price_usd_per_hour")
    assert sorted(each.id for each in offers) == sorted(service.offer_ids)


async def test_a_page_that_fails_fails_the_listing(service: Service) -> None:
    for number in range(60):
        await rent(service, Label("home", f"lease_{number}"))

    async def turn() -> None:
        service.spoil(Verb.LIST, Trouble.UNREADABLE)

    with pytest.raises(Unavailable):
        await opened(service).list(turn=turn)


async def test_what_is_gone_is_none_and_deleting_it_is_a_success(service: Service) -> None:
    cloud_id = await rent(service)
    await opened(service).delete(cloud_id)
    assert await opened(service).get(cloud_id) is None
    await opened(service).delete(cloud_id)
    assert await listed_at(service) == []


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("trouble", ANY_REQUEST)
async def test_every_trouble_has_one_meaning(service: Service, verb: Verb, trouble: Trouble) -> None:
    if trouble is Trouble.LOST_AFTER and verb in (Verb.START, Verb.STOP) and not service.cloud.capabilities.stops:
        return  # refused before anything could be lost
    cloud_id = await rent(service)
    service.spoil(verb, trouble)
    with pytest.raises(ProviderError) as raised:
        await call(opened(service), service, verb, cloud_id)
    assert type(raised.value) is MEANS[trouble]
    assert raised.value.cloud == service.cloud.title


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.DELETE, Verb.STOP, Verb.START, Verb.ATTACH_KEY])
async def test_a_readable_no_is_a_refusal(service: Service, verb: Verb) -> None:
    cloud_id = await rent(service)
    service.spoil(verb, Trouble.REFUSED)
    with pytest.raises(Refused) as refused:
        await call(opened(service), service, verb, cloud_id)
    assert refused.value.cloud_id is None
    assert list(service.there()) == [cloud_id]


@pytest.mark.parametrize("verb", [Verb.LIST, Verb.GET])
async def test_a_cloud_that_refuses_to_say_has_not_said_none(service: Service, verb: Verb) -> None:
    cloud_id = await rent(service)
    service.spoil(verb, Trouble.REFUSED)
    with pytest.raises(Unavailable):
        await call(opened(service), service, verb, cloud_id)


@pytest.mark.parametrize(
    ("trouble", "made"), [(Trouble.LOST_AFTER, 1), (Trouble.LOST_BEFORE, 0), (Trouble.NOT_SENT, 0)]
)
async def test_a_rent_without_an_answer_is_settled_by_its_label(service: Service, trouble: Trouble, made: int) -> None:
    service.spoil(Verb.CREATE, trouble)
    with pytest.raises(Unavailable):
        await rent(service)
    assert len(await listed_at(service, [LABEL])) == made


async def test_a_refusal_names_the_machine_that_was_made_after_all(service: Service) -> None:
    service.spoil(Verb.CREATE, Trouble.HALF_MADE)
    with pytest.raises(Refused) as refused:
        await rent(service)
    assert service.there() == {refused.value.cloud_id: LABEL}


async def test_a_yes_without_an_id_is_no_error(service: Service) -> None:
    service.spoil(Verb.CREATE, Trouble.NO_ID)
    assert await opened(service).create(request(service), deadline=5) is None
    assert [each.label for each in await listed_at(service, [LABEL])] == [LABEL]


async def test_an_offer_that_went(service: Service) -> None:
    service.spoil(Verb.CREATE, Trouble.CAPACITY_GONE)
    with pytest.raises(CapacityGone) as gone:
        await rent(service)
    assert gone.value.cloud_id is None
    assert service.there() == {}


async def test_stopping_and_starting_where_that_can_be_done(service: Service) -> None:
    provider, cloud_id = opened(service), await rent(service)
    service.boot()
    if not service.cloud.capabilities.stops:
        for verb in (provider.stop, provider.start):
            with pytest.raises(Refused):
                await verb(cloud_id)
        return
    await provider.stop(cloud_id)
    stopped = await provider.get(cloud_id)
    assert stopped is not None
    assert stopped.seen.state is Seen.STOPPED
    service.spoil(Verb.START, Trouble.CAPACITY_GONE)
    with pytest.raises(CapacityGone):
        await provider.start(cloud_id)
    await provider.start(cloud_id)
    service.boot()
    started = await provider.get(cloud_id)
    assert started is not None
    assert started.seen.state is Seen.UP


def test_every_verb_has_its_limit(service: Service) -> None:
    assert set(service.cloud.quotas) == set(Verb)
    assert all(quota.spacing > 0 and quota.penalty > 0 and quota.burst >= 1 for quota in service.cloud.quotas.values())
