"""The table of offers that a person sees before anything is rented."""

from typing import Any

from rich.table import Table


def offers_table(offers: list[dict[str, Any]]) -> Table:
    """The offers as the api gave them, cheapest first, with the one that is tried first on top."""
    table = Table(box=None, padding=(0, 2))
    for title in ("", "GPU", "memory", "where", "reliability", "price"):
        table.add_column(title, justify="right" if title in ("memory", "reliability", "price") else "left")
    for number, offer in enumerate(offers):
        table.add_row("[green]first[/]" if number == 0 else "", *offer_cells(offer), style="" if number == 0 else "dim")
    return table


def offer_cells(offer: dict[str, Any]) -> tuple[str, ...]:
    """One offer's row."""
    return (
        f"{offer['num_gpus']}x {offer['gpu_name']}",
        f"{offer['gpu_ram']:.0f} GB",
        str(offer.get("geolocation") or ""),
        f"{offer['reliability']:.1%}",
        f"${offer['dph_total']:.3f}/h",
    )
