"""State on disk: one SQLite file, one table per kind of record, each row a JSON document."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

Record = TypeVar("Record", bound=BaseModel)
KINDS = ("hosts", "offers", "contracts", "ssh_keys", "accounts", "api_keys", "webhooks")


class RecordStore:
    """Writes through at once, so that a kill -9 of the simulator loses nothing (WAL, synchronous=NORMAL)."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        for kind in KINDS:
            self._db.execute(f"CREATE TABLE IF NOT EXISTS {kind} (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        self._db.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)")

    def load(self, kind: str, model: type[Record]) -> dict[int, Record]:
        rows = self._db.execute(f"SELECT id, body FROM {self._known(kind)} ORDER BY id")  # noqa: S608 (a fixed name)
        return {row[0]: model.model_validate_json(row[1]) for row in rows}

    def save(self, kind: str, number: int, record: BaseModel) -> None:
        self._db.execute(
            f"INSERT OR REPLACE INTO {self._known(kind)} VALUES (?, ?)",  # noqa: S608 (a fixed name)
            (number, record.model_dump_json()),
        )

    def save_all(self, kind: str, records: Iterable[tuple[int, BaseModel]]) -> None:
        self._db.execute("BEGIN")
        for number, record in records:
            self.save(kind, number, record)
        self._db.execute("COMMIT")

    def delete(self, kind: str, number: int) -> None:
        self._db.execute(f"DELETE FROM {self._known(kind)} WHERE id = ?", (number,))  # noqa: S608 (a fixed name)

    def clear(self, kind: str) -> None:
        self._db.execute(f"DELETE FROM {self._known(kind)}")  # noqa: S608 (a fixed name)

    def fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def set_fact(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def close(self) -> None:
        self._db.close()

    @staticmethod
    def _known(kind: str) -> str:
        if kind not in KINDS:
            raise KeyError(kind)
        return kind
