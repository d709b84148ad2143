"""Vast's filter grammar: ``{"column": {"op": value}}`` with eq neq gt gte lt lte in notin, and its orderings."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]
OPERATORS = ("eq", "neq", "gt", "gte", "lt", "lte", "in", "notin")


class BadQuery(ValueError):
    """The query names an operator or a column that does not exist."""


def matches(row: Row, filters: Mapping[str, Mapping[str, Any]], read: Callable[[Row, str], Any]) -> bool:
    """Does the row pass every filter? ``read`` gives a column's value, so that a caller can add computed columns."""
    return all(
        holds(read(row, column), operator, wanted)
        for column, conditions in filters.items()
        for operator, wanted in conditions.items()
    )


def holds(value: Any, operator: str, wanted: Any) -> bool:
    """One condition. Query values arrive as strings ("1", "0.98"): they are read as the row's own type."""
    if operator not in OPERATORS:
        raise BadQuery(f"unknown operator {operator}")
    if operator in ("in", "notin"):
        found = any(_same(value, item) for item in _as_list(wanted))
        return found if operator == "in" else not found
    if operator in ("eq", "neq"):
        return _same(value, wanted) is (operator == "eq")
    return _compares(value, operator, wanted)


def _compares(value: Any, operator: str, wanted: Any) -> bool:
    other = _like(value, wanted)
    if value is None or other is None or isinstance(value, str) is not isinstance(other, str):
        return False
    if operator == "gt":
        return bool(value > other)
    if operator == "gte":
        return bool(value >= other)
    return bool(value < other) if operator == "lt" else bool(value <= other)


def _same(value: Any, wanted: Any) -> bool:
    return bool(value == _like(value, wanted))


def _like(value: Any, wanted: Any) -> Any:
    """``wanted`` in the type of ``value`` where it can be read so."""
    if isinstance(value, bool) and isinstance(wanted, str):
        return {"true": True, "false": False}.get(wanted.lower(), wanted)
    if isinstance(value, int | float) and isinstance(wanted, str):
        try:
            return float(wanted)
        except ValueError:
            return None
    return wanted


def _as_list(wanted: Any) -> Iterable[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def ordered(rows: Iterable[Row], order: Iterable[tuple[str, bool]]) -> list[Row]:
    """Sort by several columns, (name, descending); rows without a value come last."""
    result = list(rows)
    for column, descending in reversed(list(order)):
        present = [row for row in result if row.get(column) is not None]
        absent = [row for row in result if row.get(column) is None]
        present.sort(key=lambda row: row[column], reverse=descending)
        result = present + absent
    return result
