"""Entry point of the `dumont` command."""

import sys

from cyclopts import App
from rich.console import Console

from cli.errors import CommandRefused
from cli.instances import commands as instances

app = App(name="dumont", help="Cheap rented GPUs, made reliable.", version="0.1.0")
app.command("cli.up.command:up", name="up", help="Start the whole system here and keep it running.")
app.command("cli.up.down:down", name="down", help="Stop what `up --detach` started.")
app.command(
    "cli.doctor.command:doctor", name="doctor", help="What is missing or wrong, with the command that mends it."
)
app.command("cli.login:login", name="login", help="Keep a token for an api.")
app.command(
    "cli.deploy.command:deploy", name="deploy", help="Serve a model: price first, live progress, then the endpoint."
)
app.command("cli.deploy.command:follow", name="follow", help="Watch a deploy that is under way.")
app.command("cli.deploy.command:stop", name="stop", help="Stop a deployment and give its machine back.")
app.command("cli.jobs.command:jobs", name="jobs", help="Run scripts on rented GPUs; see and fetch what they left.")
instances.register(app)
app.command("cli.leases.command:leases", name="leases", help="What is rented, why, since when, for how much.")
app.command("cli.leases.adopt:adopt", name="adopt", help="After a restored backup: let the reaper act again.")
app.command(
    "cli.leases.orphans:orphans",
    name="orphans",
    help="Machines of ours without a lease; permit the reaper to go on with them.",
)
app.command(
    "cli.checklist.command:checklist",
    name="checklist",
    help="Run the acceptance checklist and fill it in (em português).",
)


def main() -> None:
    """Runs the command; what a person can put right ends with a sentence, not with a traceback."""
    try:
        app()
    except CommandRefused as refused:
        Console(stderr=True).print(str(refused), style="red", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
