"""What was seen of markets."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Table


class OfferSearch(Table):
    """The last answer to one search of a market, shared by all processes."""

    __tablename__ = "offer_searches"
    url: Mapped[str] = mapped_column(primary_key=True)
    query: Mapped[str] = mapped_column(primary_key=True)
    fetched_at: Mapped[datetime]
    offers: Mapped[list[Any]]
