"""Alembic's entry: runs on the connection that db.migrate hands over, else on DUMONT_DATABASE_URL."""

from alembic import context
from sqlalchemy import Connection, create_engine

from db.tables import Table
from settings import Settings


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Table.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    _run(handed_over)
else:
    with create_engine(Settings().database_url).connect() as own:
        _run(own)
        own.commit()
