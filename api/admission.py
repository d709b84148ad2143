"""Checks before anything is written or rented: offers, prices, limits, and the account's credit."""

import asyncio
from difflib import get_close_matches

from api.app_state import AppState
from api.errors import Conflict, Invalid, PaymentNeeded
from api.health import require_temporal
from db.accounts.tables import ProviderKey, UserSettings
from db.usage.spending import Limits
from domain.instances.instances import DEFAULT_MAX_PRICE
from domain.market.offers import Offer, OfferQuery, matching_gpus
from domain.refusals import GpuLimitReached, SpendingCapReached

BALANCE_AGE_SECONDS = 60.0


async def price_limit(app: AppState, user_id: int, asked: float | None) -> float:
    """USD/h: as asked, else the user's default, else ours."""
    if asked is not None:
        return asked
    async with app.database.begin() as session:
        row = await session.get(UserSettings, user_id)
    return float((row.settings if row else {}).get("default_max_price") or DEFAULT_MAX_PRICE)


async def find_offers(app: AppState, key: ProviderKey, query: OfferQuery, memory_gb: float | None) -> list[Offer]:
    """Offers for the query with room for the model, cheapest first; at least one, and money for an hour of it.

    Raises:
        Problem: unknown_gpu, offer_gone, no_offers, model_too_large, balance_too_low. ProviderError, Down.
    """
    offers, user, _ = await asyncio.gather(
        _in_market(app, key, _with_memory(query, memory_gb)),
        app.providers.balance(key, BALANCE_AGE_SECONDS),
        require_temporal(app),
    )
    roomy = [offer for offer in offers if memory_gb is None or memory_of(offer) >= memory_gb]
    if not roomy:
        raise await _too_large(app, key, query, memory_gb or 0.0, max(map(memory_of, offers)))
    affordable = [offer for offer in roomy if query.max_price is None or offer.dph_total <= query.max_price]
    if not affordable:
        raise Conflict("no_offers", _too_cheap(roomy[0], query.max_price or 0.0))
    if user.credit < affordable[0].dph_total:
        raise PaymentNeeded("balance_too_low", _too_poor(user.credit, affordable[0]))
    return affordable


async def check_market(app: AppState, key: ProviderKey, query: OfferQuery, limits: Limits) -> None:
    """The checks for a job, which can wait for an offer: some offer must exist, and price and limits must allow it.

    It is accepted even if all such offers are taken now.

    Raises:
        Problem: unknown_gpu, offer_gone, no_offers (too dear), balance_too_low. GpuLimitReached, SpendingCapReached,
            ProviderError, Down.
    """
    offers, user, _ = await asyncio.gather(
        app.market.offers(key, query.model_copy(update={"max_price": None})),
        app.providers.balance(key, BALANCE_AGE_SECONDS),
        require_temporal(app),
    )
    if (query.num_gpus or 1) > limits.gpus:
        raise GpuLimitReached(0, query.num_gpus or 1, limits.gpus)
    if not offers:
        return await _check_exists(app, key, query)
    affordable = [offer for offer in offers if query.max_price is None or offer.dph_total <= query.max_price]
    if not affordable:
        raise Conflict("no_offers", _too_cheap(offers[0], query.max_price or 0.0))
    if affordable[0].dph_total > limits.usd_per_day:
        raise SpendingCapReached(0.0, affordable[0].dph_total, limits.usd_per_day)
    if user.credit < affordable[0].dph_total:
        raise PaymentNeeded("balance_too_low", _too_poor(user.credit, affordable[0]))


async def _check_exists(app: AppState, key: ProviderKey, query: OfferQuery) -> None:
    if query.gpu_name is not None:
        _check_known(query.gpu_name, await app.market.gpu_names(key))
    if query.offer_id is not None:
        raise Conflict("offer_gone", f"Offer {query.offer_id} is not there (any more), or does not match the rest.")


def _with_memory(query: OfferQuery, memory_gb: float | None) -> OfferQuery:
    """Any GPU will do when none is named, so only those with room are asked for; a named one may be too small."""
    if query.gpu_name is not None or query.offer_id is not None or memory_gb is None:
        return query
    return query.model_copy(update={"min_gpu_ram": memory_gb / (query.num_gpus or 1)})


def memory_of(offer: Offer) -> float:
    return offer.gpu_ram * offer.num_gpus


async def _in_market(app: AppState, key: ProviderKey, query: OfferQuery) -> list[Offer]:
    """What there is at any price, so that a refusal can say what it would cost."""
    offers = await app.market.offers(key, query.model_copy(update={"max_price": None}))
    if offers:
        return offers
    await _check_exists(app, key, query)
    raise Conflict("no_offers", f"Nobody offers {query.num_gpus or 1}x {query.gpu_name or 'GPU'} as asked now.")


def _check_known(wanted: str, names: set[str]) -> None:
    if not matching_gpus(wanted, names):
        close = get_close_matches(wanted, sorted(names), n=3, cutoff=0.3) or sorted(names)[:3]
        raise Invalid("unknown_gpu", "gpu_type", f"No GPU of this name is known. Did you mean {' or '.join(close)}?")


async def _too_large(app: AppState, key: ProviderKey, query: OfferQuery, needed: float, available: float) -> Invalid:
    gpu = query.gpu_name or "the largest GPU"
    message = f"The model needs about {needed:g} GB of GPU memory, and {gpu} has {available:g} GB. "
    wider = _with_memory(OfferQuery(num_gpus=query.num_gpus, min_disk=query.min_disk), needed)
    fits = [offer for offer in await app.market.offers(key, wider) if memory_of(offer) >= needed]
    if fits:
        best = fits[0]
        hint = f"{best.num_gpus}x {best.gpu_name} ({memory_of(best):g} GB) would do, from {best.dph_total:.2f} USD/h."
    else:
        hint = "Nothing for rent now would do; try more GPUs (num_gpus) or a quantized model."
    return Invalid("model_too_large", "gpu_type", message + hint)


def _too_cheap(best: Offer, limit: float) -> str:
    return (
        f"Nobody offers that for {limit:g} USD/h or less now. The cheapest is {best.num_gpus}x {best.gpu_name} "
        f"at {best.dph_total:.3f} USD/h."
    )


def _too_poor(credit: float, best: Offer) -> str:
    price = f"{best.dph_total:.3f} USD/h"
    return f"The provider account has {credit:.2f} USD left, less than an hour at {price}. Top it up first."
