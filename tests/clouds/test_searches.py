"""Which search of a market serves a query, and what of it goes over Vast.ai's wire."""

from clouds.searches import shared_search, whole_search
from clouds.vast_offers import wire_filters, wire_order
from domain.market.offers import MachineType, OfferQuery, Region

NAMES = {"RTX 4090"}


def test_without_a_name_everything_narrows() -> None:
    query = OfferQuery(region=Region.US, min_gpu_ram=24, num_gpus=2, verified_only=True, max_price=0.5)
    assert shared_search(query, None) is None
    whole = whole_search(query, None)
    assert wire_filters(whole.query, whole.gpu_names) == {
        "num_gpus": {"eq": 2},
        "geolocation": {"in": ["US"]},
        "gpu_ram": {"gte": 24_000},
        "verified": {"eq": True},
    }


def test_queries_for_one_gpu_share_a_search() -> None:
    picky = OfferQuery(gpu_name="rtx 4090", min_reliability=0.99, max_price=0.3)
    assert shared_search(picky, NAMES) == shared_search(OfferQuery(gpu_name="RTX 4090"), NAMES)
    whole = whole_search(picky, NAMES)
    assert wire_filters(whole.query, whole.gpu_names) == {
        "gpu_name": {"in": ["RTX 4090"]},
        "reliability2": {"gte": 0.99},
    }


def test_bids_and_rents_are_searched_apart() -> None:
    bids = OfferQuery(gpu_name="RTX 4090", machine_type=MachineType.INTERRUPTIBLE)
    assert shared_search(bids, NAMES) != shared_search(OfferQuery(gpu_name="RTX 4090"), NAMES)


def test_in_another_order_the_price_narrows_too() -> None:
    dear = whole_search(OfferQuery(max_price=0.5), None, "-gpu_ram")
    assert wire_filters(dear.query, dear.gpu_names) == {"dph_total": {"lte": 0.5}}
    bids = OfferQuery(max_price=0.5, machine_type=MachineType.INTERRUPTIBLE)
    assert wire_filters(whole_search(bids, None, "-gpu_ram").query, None) == {}
    assert wire_order("-cuda_version") == ("cuda_max_good", "desc")
    assert wire_order("dph_total") == ("dph_total", "asc")


def test_one_offer_is_asked_for_by_its_id() -> None:
    query = OfferQuery(offer_id="7", min_disk=20)
    assert shared_search(query, None) == whole_search(query, None)
    assert wire_filters(whole_search(query, None).query, None) == {"ask_contract_id": {"eq": 7}}
