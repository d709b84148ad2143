"""Entry point of the `dumont` command."""

import sys

from cyclopts import App
from rich.console import Console

from cli.errors import Refused

app = App(name="dumont", help="Cheap rented GPUs, made reliable.", version="0.1.0")
app.command("cli.up.command:up", name="up")
app.command("cli.up.down:down", name="down")
app.command("cli.doctor.command:doctor", name="doctor")
app.command("cli.login:login", name="login")
app.command("cli.deploy.command:deploy", name="deploy")
app.command("cli.deploy.command:follow", name="follow")
app.command("cli.deploy.command:stop", name="stop")
app.command("cli.checklist.command:checklist", name="checklist")


def main() -> None:
    """Runs the command; what a person can put right ends with a sentence, not with a traceback."""
    try:
        app()
    except Refused as refused:
        Console(stderr=True).print(str(refused), style="red", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
