"""Which installation a command talks to, and as whom."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.prompt import Prompt

from cli.api import Api, ApiRefused
from cli.errors import CommandRefused
from cli.places import ROOT, command, data_dir
from cli.private_files import read_json, write_private_json
from settings import Settings


def connect(api: str | None, token: str | None, folder: Path | None) -> Api:
    """An open session: as given, else as logged in before, else as the demo user of the installation here."""
    kept = read_json(login_file())
    here = local_addresses(folder)
    url = (api or os.environ.get("DUMONT_API") or here.get("api") or kept.get("api") or Settings().api_url).rstrip("/")
    token = token or os.environ.get("DUMONT_TOKEN") or kept.get("tokens", {}).get(url)
    if token:
        return Api(url, token)
    if url == here.get("api"):
        return Api(url, demo_token(url))
    raise CommandRefused(
        f"Not logged in at {url}, and no installation runs on {data_dir(folder)}. Start one with `{command()} up`, "
        f"or run `{command()} login --api {url}`, or give --token or DUMONT_TOKEN."
    )


def local_addresses(folder: Path | None) -> dict[str, str]:
    """The addresses of the installation that runs on this computer; nothing when none does."""
    found = read_json(data_dir(folder) / "addresses.json")
    return found or ({} if folder else read_json(ROOT / ".dumont" / "addresses.json"))


def demo_token(url: str) -> str:
    """A token of the user that a local installation makes by itself."""
    settings = Settings()
    try:
        return log_in(url, settings.demo_email, settings.demo_password.get_secret_value())
    except ApiRefused as refused:
        raise CommandRefused(f"The demo login does not work at {url} ({refused}). Run `dumont login`.") from refused


def log_in(url: str, email: str, password: str) -> str:
    """Exchanges the password for a token."""
    with Api(url) as session:
        return str(session.post("/auth/login", {"email": email, "password": password})["token"])


def login_file() -> Path:
    """Where logins are kept."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "dumont" / "login.json"


def keep(url: str, token: str) -> Path:
    """Keeps the token for the next commands."""
    path = login_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = read_json(path)
    write_private_json(path, {"api": url, "tokens": {**kept.get("tokens", {}), url: token}})
    return path


def login(
    *,
    api: Annotated[str | None, Parameter(env_var="DUMONT_API")] = None,
    email: str | None = None,
    password: Annotated[str | None, Parameter(env_var="DUMONT_PASSWORD")] = None,
    data_dir: Path | None = None,
) -> None:
    """Log in to an installation and keep the token for the next commands.

    Parameters
    ----------
    api
        The address of its api [default: the installation that runs here].
    email
        Asked for when it is not given.
    password
        Asked for when it is not given.
    data_dir
        The folder of the installation that runs here.
    """
    url = (api or local_addresses(data_dir).get("api") or Settings().api_url).rstrip("/")
    email = email or Prompt.ask("E-mail")
    password = password or Prompt.ask("Password", password=True)
    path = keep(url, log_in(url, email, password))
    Console(stderr=True).print(f"Logged in at {url} as {email}; the token is kept in {path}.", soft_wrap=True)
