"""Pages of lists: newest first, by key and not by offset, so that a page stays itself while the list grows."""

from typing import Annotated

from fastapi import Depends, Query

from api.errors import Invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class Page:
    """`?limit=&cursor=`. A cursor is the integer key of the last row shown; opaque to callers."""

    def __init__(self, limit: int, cursor: str | None) -> None:
        self.limit, self.after = limit, _key(cursor)

    def next_cursor(self, keys: list[int], more: bool) -> str | None:
        return str(keys[-1]) if keys and more else None


def _key(cursor: str | None) -> int | None:
    if cursor is None or cursor == "":
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 10):
        raise Invalid("bad_cursor", "cursor", "Not a cursor of ours: use the page before's next_cursor.", place="query")
    return min(int(cursor), 2**31 - 1)


async def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows a page.")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> Page:
    return Page(limit, cursor)


ListPage = Annotated[Page, Depends(_page)]
