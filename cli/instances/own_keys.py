"""The person's own public keys: which there are, and telling the installation of them. Private keys are never read."""

from pathlib import Path

from rich.console import Console

from cli.api import Api
from cli.errors import CommandRefused
from cli.prompts import agreed
from clients.ssh_keys import NotAPublicKey, read_public_key


def public_key_of(path: Path) -> str:
    """The line of a public key's file; of a private key's name, that of the public file beside it.

    Raises:
        CommandRefused: there is none, or it is not a public key.
    """
    given = path.expanduser()
    beside = given.with_name(f"{given.name}.pub")
    file = beside if given.suffix != ".pub" and beside.exists() else given
    try:
        return read_public_key(file.read_text(encoding="utf-8")).line
    except OSError as error:
        raise CommandRefused(
            f"{file} cannot be read ({error.strerror}). `ssh-keygen -t ed25519` makes a pair."
        ) from error
    except (NotAPublicKey, UnicodeDecodeError) as error:
        raise CommandRefused(f"{file} is not a public key: {error}") from error


def own_public_keys() -> dict[Path, str]:
    """The lines of `~/.ssh/*.pub`; what there is no public key is left out."""
    found = {}
    for path in sorted((Path.home() / ".ssh").glob("*.pub")):
        try:
            found[path] = public_key_of(path)
        except CommandRefused:
            continue
    return found


def offer_own_keys(session: Api, console: Console, *, yes: bool) -> None:
    """Registers the person's public keys where the account has none yet; asks first."""
    if session.get("/ssh-keys")["count"]:
        return
    found = own_public_keys()
    if not found:
        console.print(
            "[yellow]Your account has no SSH key, and there is none in ~/.ssh: you could not log in.[/] "
            "`ssh-keygen -t ed25519` makes a pair; run this command again then.",
            highlight=False,
            soft_wrap=True,
        )
        return
    names = ", ".join(path.name for path in found)
    if yes or agreed(console, f"Your account has no SSH key. Register {names} from ~/.ssh (public keys only)?"):
        for path, line in found.items():
            session.post("/ssh-keys", {"name": path.stem, "public_key": line})
        console.print(f"Registered {names}.", highlight=False, markup=False)
