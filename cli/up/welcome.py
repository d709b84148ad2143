"""What a person sees when the installation is ready."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from cli.places import command
from settings import Settings
from workflow_client.kinds import flows_view

FIRST_MODEL = "Qwen/Qwen2.5-0.5B-Instruct"


def welcome(console: Console, addresses: Mapping[str, object], seconds: float, stop: str = "Ctrl-C") -> None:
    """Prints the addresses, the demo login and the first command to try."""
    settings = Settings()
    api = str(addresses["api"])
    console.print(f"\n[bold green]Dumont Cloud is ready[/] after {seconds:.1f} s\n")
    grid = Table.grid(padding=(0, 2))
    grid.add_row("api", f"{api}  [dim]({api}/docs)[/]")
    grid.add_row("gateway", str(addresses["gateway"]))
    if addresses["simulator"]:
        grid.add_row("cloud", f"{addresses['simulator']}  [bold yellow]SIMULATED: no real GPU, no real money[/]")
    else:
        grid.add_row("cloud", f"{settings.vast_url}  [bold red]REAL: machines cost money[/]")
    grid.add_row("login", f"{settings.demo_email} / {settings.demo_password.get_secret_value()}")
    console.print(grid)
    if addresses["temporal_ui"]:
        view = flows_view(str(addresses["temporal_ui"]), settings.temporal_namespace)
        console.print(f"\nEvery step of every workflow, in Temporal's Web UI:\n{view}", highlight=False, soft_wrap=True)
    console.print(f"\nTry: [bold]{command()} deploy {FIRST_MODEL}[/]")
    console.print(f"Stop: {stop}. The next start goes on where this one ended.\n")
