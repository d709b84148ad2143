"""The balance as the provider reports it."""

from fastapi import APIRouter, Security

from api.deps import App, Me
from api.guard import Guarded
from api.openapi import UNAUTHORIZED, bearer, problem
from api.provider import working_key
from api.schemas import Answer

router = APIRouter(
    prefix="/balance", tags=["settings"], route_class=Guarded, dependencies=[Security(bearer)], responses=UNAUTHORIZED
)


class BalanceAnswer(Answer):
    """`credit` is prepaid USD, `balance` what is owed."""

    credit: float
    balance: float
    balance_threshold: float | None
    email: str | None


@router.get("", summary="The provider account's balance", responses={400: problem("No key, or it is refused.")})
async def balance(me: Me, app: App) -> BalanceAnswer:
    key, _ = await working_key(app, me.id)
    user = await app.providers.balance(key, max_age_seconds=0)
    return BalanceAnswer.model_validate(user.model_dump())
