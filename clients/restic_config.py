"""restic's `config` of a new repository: its format, its id, and the polynomial by which it cuts files into chunks.

Each repository has a polynomial of its own, so that the sizes of its chunks tell nobody which files are in it. It is
irreducible over GF(2) and of degree 53; restic refuses others. An int is a polynomial here: its bits are coefficients.

https://restic.readthedocs.io/en/stable/100_references.html#repository-format, restic's `internal/restic/config.go`, and
`RandomPolynomial` in `polynomials.go` of https://github.com/restic/chunker. In format 2 all files are compressed before
they are sealed but this one (and keys): so does restic 0.14, the first that has the format.
"""

import json
from itertools import count

from clients.restic_keys import Key, drawn

FORMAT = 2
"""The one that compresses."""

DEGREE = 53


def config_file(password: str) -> bytes:
    """It follows from the password: written again, or by two at once, it is the same file."""
    said = {
        "version": FORMAT,
        "id": drawn(password, "id", 32).hex(),
        "chunker_polynomial": f"{polynomial(password):x}",
    }
    return Key.master(password).seal(json.dumps(said).encode(), password)


def polynomial(password: str) -> int:
    """One in 27 of those that x does not divide is irreducible: some milliseconds' search."""
    turns = (int.from_bytes(drawn(password, f"polynomial {turn}", 7)) for turn in count())
    tried = (1 << DEGREE | bits & (1 << DEGREE) - 1 | 1 for bits in turns)
    return next(filter(is_irreducible, tried))


def is_irreducible(polynomial: int) -> bool:
    """Of a polynomial of degree 1 or more: Ben-Or's test.

    A reducible one has a factor of at most half its degree. All irreducible polynomials of degrees that divide n divide
    x^(2^n) - x, so a factor of degree n shows as a common divisor with that.
    """
    power = 0b10  # x
    for _ in range((polynomial.bit_length() - 1) // 2):
        power = _remainder(_square(power), polynomial)
        if _common_divisor(polynomial, power ^ 0b10) != 1:
            return False
    return True


def _square(a: int) -> int:
    """Over GF(2) the mixed terms cancel out, so a zero comes between any two coefficients: the bits, read to base 4."""
    return int(f"{a:b}", 4)


def _remainder(a: int, divisor: int) -> int:
    while (over := a.bit_length() - divisor.bit_length()) >= 0:
        a ^= divisor << over
    return a


def _common_divisor(a: int, b: int) -> int:
    while b:
        a, b = b, _remainder(a, b)
    return a
