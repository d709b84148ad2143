"""Settings that hold for the requests and machines of one account, over those of the whole cloud."""

from typing import Any

from simulator.settings import Settings, merge

SHARED = {"market": None, "way_out": None, "clocks": ("beat", "rewrite_keys")}
"""what no account can have for itself; none: not any part of it"""


class AccountSettings:
    def __init__(self) -> None:
        self._changes: dict[int, dict[str, Any]] = {}
        self._made: dict[int, tuple[Settings, Settings]] = {}
        """account → the whole cloud's settings, and what the account's changes make of them"""

    def of(self, account_id: int | None, whole: Settings) -> Settings:
        if account_id is None or account_id not in self._changes:
            return whole
        basis, made = self._made.get(account_id, (None, whole))
        if basis is not whole:
            made = whole.changed(self._changes[account_id])
            self._made[account_id] = (whole, made)
        return made

    def change(self, account_id: int, changes: dict[str, Any], whole: Settings) -> None:
        """Raises ValueError when that is not possible for one account."""
        for name, parts in SHARED.items():
            given = changes.get(name)
            if name in changes and (parts is None or (isinstance(given, dict) and set(parts) & set(given))):
                raise ValueError(f"{name}: that is the whole cloud's, not one account's")
        both = merge(self._changes.get(account_id, {}), changes)
        self._made[account_id] = (whole, whole.changed(both))
        self._changes[account_id] = both

    def forget(self, account_id: int) -> None:
        """The whole cloud's settings hold for it again."""
        self._changes.pop(account_id, None)
        self._made.pop(account_id, None)

    def clear(self) -> None:
        self._changes.clear()
        self._made.clear()
