"""Choosing among offers, and what a GPU's name means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.market.offers import MachineType, Offer, OfferQuery, Region, matching_gpus, select_offers

KNOWN = {"RTX 3080", "RTX 3080 Ti", "RTX 4090", "RTX 5090", "A100 SXM4", "A100 PCIE", "H100 SXM", "GTX 1080"}


def offer(**changes: object) -> Offer:
    plain: dict[str, object] = {
        "id": "1", "host_id": "1", "gpu_name": "RTX 4090", "num_gpus": 1, "gpu_ram": 24.0, "cpu_cores": 16,
        "cpu_ram": 64.0, "disk_space": 200.0, "inet_down": 800.0, "inet_up": 300.0, "dph_total": 0.4, "min_bid": 0.2,
        "geolocation": "Sweden, SE", "reliability": 0.99, "cuda_version": 12.4, "verified": True, "static_ip": False,
    }  # fmt: skip
    return Offer.model_validate(plain | changes)


@pytest.mark.parametrize(
    ("wanted", "means"),
    [
        ("RTX 4090", {"RTX 4090"}),
        ("rtx_4090", {"RTX 4090"}),
        ("rtx-4090", {"RTX 4090"}),
        ("RTX4090", {"RTX 4090"}),
        ("RTX 3080", {"RTX 3080"}),
        ("rtx 3080 ti", {"RTX 3080 Ti"}),
        ("RTX", {"RTX 3080", "RTX 3080 Ti", "RTX 4090", "RTX 5090"}),
        ("A100", {"A100 SXM4", "A100 PCIE"}),
        ("RTX 30", set()),
        ("RTX 9999", set()),
        ("", set()),
    ],
)
def test_a_gpu_name_means_the_exact_model_or_a_prefix_of_words(wanted: str, means: set[str]) -> None:
    assert matching_gpus(wanted, KNOWN) == means


def test_without_the_plain_card_its_name_does_not_mean_the_ti() -> None:
    assert matching_gpus("RTX 3080", {"RTX 3080 Ti"}) == set()


@pytest.mark.parametrize(
    ("query", "accepted"),
    [
        ({"max_price": 0.4}, True),
        ({"max_price": 0.39}, False),
        ({"min_gpu_ram": 24}, True),
        ({"min_gpu_ram": 25}, False),
        ({"num_gpus": 2}, False),
        ({"region": Region.EU}, True),
        ({"region": Region.US}, False),
        ({"static_ip": True}, False),
        ({"verified_only": True}, True),
        ({"cuda_version": 12.8}, False),
        ({"min_reliability": 0.995}, False),
        ({"min_cpu_cores": 32}, False),
        ({"min_cpu_ram": 128}, False),
        ({"min_disk": 500}, False),
        ({"min_inet_down": 1000}, False),
        ({"min_inet_up": 1000}, False),
        ({"offer_id": "1"}, True),
        ({"offer_id": "2"}, False),
        ({"max_price": 0.3, "machine_type": MachineType.INTERRUPTIBLE}, True),
    ],
)
def test_every_filter_filters(query: dict[str, object], accepted: bool) -> None:
    assert bool(select_offers(OfferQuery.model_validate(query), [offer()])) is accepted


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(0, 1)), max_size=20))
def test_the_cheapest_comes_first_and_nothing_is_lost(rows: list[tuple[float, float]]) -> None:
    offers = [offer(id=number, dph_total=price, reliability=rel) for number, (price, rel) in enumerate(rows)]
    chosen = select_offers(OfferQuery(), offers)
    assert [each.dph_total for each in chosen] == sorted(each.dph_total for each in offers)
