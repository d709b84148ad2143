"""Register, log in, refresh, log out."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Request, Security
from pydantic import AfterValidator, AliasChoices, Field, SecretStr
from pydantic_core import PydanticCustomError

from api.accounts.tokens import LIFETIME_SECONDS
from api.deps import App, Me
from api.errors import Conflict, Forbidden, TooMany, Unauthorized
from api.guard import Guarded
from api.openapi import UNAUTHORIZED, bearer, problem
from api.schemas import Answer, Body, Name, Time
from db.accounts.tables import User
from db.accounts.users import add_user, begin_login, change_password, login_succeeded, revoke_token, user_by_email

PASSWORD_MIN, PASSWORD_MAX = 6, 1024
_EMAIL = re.compile(r"[^\s@\"<>(),:;\\\[\]]{1,64}@[^\s@.\"<>(),:;\\\[\]/]+(\.[^\s@.\"<>(),:;\\\[\]/]+)+")

open_router = APIRouter()
known_router = APIRouter(route_class=Guarded, dependencies=[Security(bearer)], responses=UNAUTHORIZED)


def _email(text: str) -> str:
    """An e-mail address, lower-cased. We do not check that it belongs to the user."""
    address = text.strip().lower()
    if len(address) > 254 or ".." in address or not _EMAIL.fullmatch(address):
        raise PydanticCustomError("email", "Not an e-mail address")
    return address


Password = Annotated[SecretStr, Field(min_length=PASSWORD_MIN, max_length=PASSWORD_MAX)]
_EMAIL_NAMES = AliasChoices("email", "username")


class Registration(Body):
    email: Annotated[str, AfterValidator(_email)] = Field(validation_alias=_EMAIL_NAMES, examples=["ana@example.com"])
    password: Password = Field(examples=["correct horse"])
    name: Name | None = Field(default=None, examples=["Ana"])


class Login(Body):
    email: str = Field(validation_alias=_EMAIL_NAMES, max_length=1000, examples=["ana@example.com"])
    password: SecretStr = Field(max_length=PASSWORD_MAX)


class PasswordChange(Body):
    old: SecretStr = Field(validation_alias=AliasChoices("old", "old_password"), max_length=PASSWORD_MAX)
    new: Password = Field(validation_alias=AliasChoices("new", "new_password"))


class UserAnswer(Answer):
    id: int
    email: str
    name: str | None
    created_at: Time


class TokenAnswer(Answer):
    """`token` and `access_token` are the same."""

    success: bool = True
    user: UserAnswer
    token: str
    access_token: str
    token_type: str = "bearer"  # noqa: S105 -- the scheme's name
    expires_in: int = LIFETIME_SECONDS


class MeAnswer(Answer):
    authenticated: bool = True
    user: UserAnswer


class Done(Answer):
    success: bool = True
    message: str


def _let_in(app: App, user: User) -> TokenAnswer:
    token = app.tokens.issue(user.id, user.tokens_valid_from)
    return TokenAnswer(user=_shown(user), token=token, access_token=token)


def _shown(user: User) -> UserAnswer:
    return UserAnswer(id=user.id, email=user.email, name=user.name, created_at=user.created_at)


_REGISTER_ERRORS: dict[int | str, dict[str, Any]] = {
    403: problem("Registration is closed here."),
    409: problem("The address is taken."),
}


@open_router.post("/register", status_code=201, summary="Make a login", responses=_REGISTER_ERRORS)
async def register(body: Registration, app: App) -> TokenAnswer:
    if not app.settings.registration_open:
        raise Forbidden("registration_closed", "Registration is closed on this installation. Ask its operator.")
    hashed = await app.passwords.hash(body.password.get_secret_value())
    async with app.database.begin() as session:
        user = await add_user(session, body.email, body.name, hashed)
    if user is None:
        raise Conflict("email_taken", "There is a login with this e-mail already.")
    return _let_in(app, user)


_LOGIN_ERRORS: dict[int | str, dict[str, Any]] = {
    **UNAUTHORIZED,
    429: problem("Too many failed logins; `Retry-After` says when to try again."),
}


@open_router.post("/login", summary="Log in", responses=_LOGIN_ERRORS)
async def login(body: Login, request: Request, app: App) -> TokenAnswer:
    email, address = body.email.strip().lower(), request.client.host if request.client else ""
    async with app.database.begin() as session:
        wait = await begin_login(session, email, address)
        user = await user_by_email(session, email)
    if wait:
        raise TooMany("Too many failed logins. Wait a little before the next one.", wait)
    right = await app.passwords.matches(body.password.get_secret_value(), user.password_hash if user else None)
    if user is None or not right:
        raise Unauthorized("The e-mail or the password is wrong.")
    async with app.database.begin() as session:
        await login_succeeded(session, email, address)
    return _let_in(app, user)


@known_router.get("/me", summary="Who am I")
async def me(me: Me) -> MeAnswer:
    return MeAnswer(user=_shown(me.user))


@known_router.post("/refresh", summary="A fresh token", responses={403: problem("Came in with an API key.")})
async def refresh(me: Me, app: App) -> TokenAnswer:
    """The old token stays valid until it expires or is logged out."""
    if me.token is None:
        raise Forbidden("login_needed", "An API key does not expire and gives no tokens. Log in with the password.")
    return _let_in(app, me.user)


@known_router.post("/logout", summary="Revoke this token")
async def logout(me: Me, app: App) -> Done:
    if me.token is None:
        return Done(message="API keys stay valid until they are deleted: DELETE /api/auth/keys/{id}.")
    async with app.database.begin() as session:
        await revoke_token(session, me.token.jti, me.token.expires)
    return Done(message="Logged out.")


_PASSWORD_ERRORS: dict[int | str, dict[str, Any]] = {**_LOGIN_ERRORS, 403: problem("The old password is wrong.")}


@known_router.post("/password", summary="Change the password", responses=_PASSWORD_ERRORS)
async def password(body: PasswordChange, request: Request, me: Me, app: App) -> TokenAnswer:
    """Voids every token made before. The answer has a new one; API keys stay."""
    address = request.client.host if request.client else ""
    async with app.database.begin() as session:
        wait = await begin_login(session, me.user.email, address)
    if wait:
        raise TooMany("Too many wrong passwords. Wait a little before the next one.", wait)
    if not await app.passwords.matches(body.old.get_secret_value(), me.user.password_hash):
        raise Forbidden("wrong_password", "The old password is not the present one.")
    hashed = await app.passwords.hash(body.new.get_secret_value())
    async with app.database.begin() as session:
        await login_succeeded(session, me.user.email, address)
        me.user.tokens_valid_from = await change_password(session, me.id, hashed)
    return _let_in(app, me.user)


router = APIRouter(prefix="/auth", tags=["auth"])
router.include_router(open_router)
router.include_router(known_router)
