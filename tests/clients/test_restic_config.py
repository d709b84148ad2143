"""Polynomials over GF(2), against what is known of them. That restic takes the config: test_restic_repository.py."""

import pytest

from clients.restic_config import DEGREE, config_file, is_irreducible, polynomial

OF_RESTIC = 0x3DA3358B4DC173
"""The one of restic's own tests: https://github.com/restic/chunker, `chunker_test.go`."""


def product(one: int, another: int) -> int:
    made = 0
    while another:
        made ^= one * (another & 1)
        one, another = one << 1, another >> 1
    return made


def test_restics_own_is_irreducible_and_its_neighbours_are_not() -> None:
    assert is_irreducible(OF_RESTIC)
    assert not is_irreducible(OF_RESTIC ^ 1)  # x divides it
    assert not is_irreducible(OF_RESTIC ^ 2)  # an even number of terms: x + 1 divides it


@pytest.mark.parametrize("of", [{0b111, 0b1011}, {0b111}, {(1 << 26) | 0b1000111, (1 << 27) | 0b100111}])
def test_a_product_is_refused(of: set[int]) -> None:
    """The last pair is of the highest degrees that a factor of one of degree 53 can have."""
    first, last = min(of), max(of)
    assert all(is_irreducible(each) for each in of)
    assert not is_irreducible(product(first, last))


@pytest.mark.parametrize("degree", range(1, 12))
def test_there_are_as_many_as_gauss_counted(degree: int) -> None:
    """x^(2^n) - x is the product of all whose degree divides n, so their degrees together are 2^n."""
    found = {d: sum(map(is_irreducible, range(1 << d, 2 << d))) for d in range(1, degree + 1) if degree % d == 0}
    assert sum(d * many for d, many in found.items()) == 1 << degree


def test_each_password_has_one_of_degree_53_of_its_own() -> None:
    made = {polynomial(f"password {at}") for at in range(20)}
    assert len(made) == 20
    assert all(each.bit_length() == DEGREE + 1 == 54 and is_irreducible(each) for each in made)


def test_written_again_it_is_the_same_file() -> None:
    assert config_file("one") == config_file("one")
    assert config_file("one") != config_file("another")
