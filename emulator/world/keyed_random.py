"""Keyed random numbers: every question has its number, in every process and in any order.

A number is the keyed BLAKE2b hash of its question, so that processes agree without state and without
sequence.  Each purpose has a key or a `person` of its own.  From a uniform number follows a binomial one by
inversion, at a cost that does not grow with its size.

Thin on imports on purpose: every actor loads it.
"""

from __future__ import annotations

from hashlib import blake2b
from math import exp, floor, log1p, sqrt
from statistics import NormalDist

Word = str | int

_SUMMED = 100.0  # up to this variance the distribution is summed up exactly
_NORMAL = NormalDist()


def number(question: tuple[Word, ...], key: bytes = b"", person: bytes = b"") -> float:
    """Return the number in [0, 1) that belongs to a question, of 53 bits."""
    words = "\x1f".join(map(str, question)).encode()
    digest = blake2b(words, digest_size=8, key=key, person=person).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


def binomial_quantile(trials: int, chance: float, uniform: float) -> int:
    """Return the least k with P(at most k successes in `trials`) > `uniform`, from [0, 1).

    Where the variance exceeds 100, by the normal law with Cornish and Fisher's correction for skewness,
    which is then wrong by less than one success in the bulk of the distribution.
    """
    if chance > 0.5:
        return trials - binomial_quantile(trials, 1 - chance, 1 - uniform - 2.0**-53)
    variance = trials * chance * (1 - chance)
    if variance <= _SUMMED:
        return _summed(trials, chance, uniform)
    z = _NORMAL.inv_cdf(max(uniform, 2.0**-54))
    skewed = z * sqrt(variance) + (1 - 2 * chance) * (z * z - 1) / 6
    return min(trials, max(0, floor(trials * chance + skewed + 0.5)))


def _summed(trials: int, chance: float, uniform: float) -> int:
    term = cumulative = exp(trials * log1p(-chance))
    successes = 0
    while cumulative <= uniform and successes < trials:
        successes += 1
        term *= (trials - successes + 1) / successes * chance / (1 - chance)
        cumulative += term
        if term == 0.0:
            break
    return successes


def in_letters(number: int) -> str:
    """Return a number from 1 on in letters, as columns of a sheet are called: A, B, ..., Z, AA, AB, ..."""
    letters = ""
    while number > 0:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters
