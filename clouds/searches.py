"""Which search of a market serves a query: few different ones, for a cloud has a small budget of them."""

from pydantic import BaseModel

from domain.market.offers import MachineType, OfferQuery

CHEAPEST_FIRST = "dph_total"


class Search(BaseModel):
    """What is asked of a cloud; what is equal here is the same search. `gpu_names`: the cloud's, sorted."""

    query: OfferQuery
    gpu_names: list[str] | None
    order: str = CHEAPEST_FIRST


def shared_search(query: OfferQuery, names: set[str] | None) -> Search | None:
    """Little that narrows, so that many queries for a GPU share one search; None when only the whole query does."""
    if query.offer_id is not None:
        return _for_one(query)
    if names is None:
        return None
    return Search(query=OfferQuery(num_gpus=query.num_gpus, machine_type=query.machine_type), gpu_names=sorted(names))


def whole_search(query: OfferQuery, names: set[str] | None, order: str = CHEAPEST_FIRST) -> Search:
    """All that a cloud may be able to filter by, for it shows only the first of what matches.

    The price narrows only where something else decides what comes first; and a bid's price is not in the listed one.
    """
    if query.offer_id is not None:
        return _for_one(query, order)
    unlimited = order == CHEAPEST_FIRST or query.machine_type is MachineType.INTERRUPTIBLE
    narrowed = query.model_copy(update={"gpu_name": None} | ({"max_price": None} if unlimited else {}))
    plain = OfferQuery(**narrowed.model_dump(include=set(OfferQuery.model_fields)))
    return Search(query=plain, gpu_names=None if names is None else sorted(names), order=order)


def _for_one(query: OfferQuery, order: str = CHEAPEST_FIRST) -> Search:
    return Search(
        query=OfferQuery(offer_id=query.offer_id, machine_type=query.machine_type), gpu_names=None, order=order
    )
