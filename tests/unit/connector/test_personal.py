"""Personal data are told from numbers that only look alike."""

from __future__ import annotations

import pyarrow as pa
import pytest

from connector.publish.personal import find_personal

WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)


def resident(stem: str) -> str:
    """Return a made-up registration number whose check digit fits."""
    total = sum(int(digit) * weight for digit, weight in zip(stem, WEIGHTS, strict=True))
    return stem + str((11 - total % 11) % 10)


def barcode(stem: str) -> str:
    """Return a Korean EAN-13: its first digits read as a day of birth."""
    total = sum(int(digit) * (3 if n % 2 else 1) for n, digit in enumerate(stem))
    return stem + str(-total % 10)


def looks_personal(texts: list[str]) -> bool:
    return "c" in find_personal(["c"], [pa.chunked_array([pa.array(texts)])])


@pytest.mark.parametrize(
    "texts",
    [
        [resident(f"9001{day:02d}1{day:05d}") for day in range(1, 29)],
        [resident("800229212345"), ""],
        ["850101-1234567", *map(str, range(15))],
        [" 010-1234-5678 "],
        ["kim@example.kr"],
    ],
)
def test_personal_data_are_found(texts: list[str]) -> None:
    assert looks_personal(texts)


@pytest.mark.parametrize(
    "texts",
    [
        [barcode(f"8801115{n:05d}") for n in range(200)],
        ["1208147521", "010", "2026-01-02"],
        ["", ""],
        ["850101-1234567", *map(str, range(30))],
    ],
)
def test_other_numbers_are_not(texts: list[str]) -> None:
    assert not looks_personal(texts)
