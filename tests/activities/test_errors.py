"""Each element of a loop stands alone: what goes wrong with one stops no other, and is heard of at the end."""

import asyncio

import pytest

from activities.errors import NotYet, each_alone


def test_all_have_their_turn_and_the_first_error_is_raised_then(caplog: pytest.LogCaptureFixture) -> None:
    done = []

    def go_through() -> None:
        with each_alone() as alone:
            for number in range(5):
                with alone:
                    done.append(number)
                    if number in (1, 3):
                        raise NotYet(f"number {number}", 1)

    with pytest.raises(NotYet, match="number 1"):
        go_through()
    assert done == [0, 1, 2, 3, 4]
    assert "number 3" in caplog.text  # it is lost nowhere


def test_where_nothing_goes_wrong_nothing_is_raised() -> None:
    with each_alone() as alone, alone:
        pass


@pytest.mark.parametrize("end", [asyncio.CancelledError, KeyboardInterrupt])
def test_who_is_told_to_end_ends_at_once(end: type[BaseException]) -> None:
    done = []

    def go_through() -> None:
        with each_alone() as alone:
            for number in range(3):
                with alone:
                    done.append(number)
                    raise end

    with pytest.raises(end):
        go_through()
    assert done == [0]
