"""Noise of differential privacy, sampled exactly: whole numbers and fractions, never a float.

A Laplace number made from floats has holes that show the value under it (Mironov 2012). This
is the discrete Laplace sampler of Canonne, Kamath and Steinke (2020), algorithms 1 and 2: the
probabilities are exactly those of the formula if the source is uniform. Pure but for the source.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

Source = Callable[[int], int]  # n: a uniform whole number in [0, n); secrets.randbelow


def discrete_laplace(scale: Fraction, source: Source) -> int:
    """Return a whole number ``z`` with probability proportional to ``exp(-abs(z) / scale)``.

    Raises:
        ValueError: The scale is not above zero.
    """
    if scale <= 0:
        raise ValueError("a scale is above zero")
    span, step = scale.numerator, scale.denominator
    while True:
        part = source(span)
        if not _is_exp(Fraction(part, span), source):
            continue
        whole = 0
        while _is_exp(Fraction(1), source):
            whole += 1
        size = (part + span * whole) // step
        is_negative = source(2) == 1
        if size or not is_negative:  # zero has one sign only
            return -size if is_negative else size


def _is_exp(gamma: Fraction, source: Source) -> bool:
    """Return True with probability ``exp(-gamma)``, for a gamma of 0 to 1."""
    draws = 1
    while source(gamma.denominator * draws) < gamma.numerator:
        draws += 1
    return draws % 2 == 1
