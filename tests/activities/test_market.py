"""What of a query goes over the wire: the cloud shows only the first 64 offers that match."""

from clouds.offers import shared_filters, wire_filters, wire_order
from domain.market.offers import OfferQuery, Region


def test_without_a_name_everything_narrows() -> None:
    query = OfferQuery(region=Region.US, min_gpu_ram=24, num_gpus=2, verified_only=True, max_price=0.5)
    assert shared_filters(query, None) is None
    assert wire_filters(query, None) == {
        "num_gpus": {"eq": 2},
        "geolocation": {"in": ["US"]},
        "gpu_ram": {"gte": 24_000},
        "verified": {"eq": True},
    }


def test_queries_for_one_gpu_share_a_search() -> None:
    names = {"RTX 4090"}
    picky = OfferQuery(gpu_name="rtx 4090", min_reliability=0.99, max_price=0.3)
    assert shared_filters(picky, names) == shared_filters(OfferQuery(gpu_name="RTX 4090"), names)
    assert wire_filters(picky, names) == {"gpu_name": {"in": ["RTX 4090"]}, "reliability2": {"gte": 0.99}}


def test_in_another_order_the_price_narrows_too() -> None:
    assert wire_filters(OfferQuery(max_price=0.5), None, "-gpu_ram") == {"dph_total": {"lte": 0.5}}
    assert wire_order("-cuda_version") == ("cuda_max_good", "desc")
    assert wire_order("dph_total") == ("dph_total", "asc")


def test_one_offer_is_asked_for_by_its_id() -> None:
    query = OfferQuery(offer_id=7, min_disk=20)
    assert shared_filters(query, None) == wire_filters(query, None) == {"ask_contract_id": {"eq": 7}}
