"""Texts become typed columns only where nothing of what the file says is lost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from connector.publish.infer import TypedColumn, type_column
from schemas.dataset import ColumnType


def typed(*texts: str, wanted: ColumnType | None = None) -> TypedColumn:
    return type_column(pa.chunked_array([pa.array(texts)]), wanted)


@pytest.mark.parametrize(
    "texts",
    [
        ("00123", "00456", "12345"),
        ("01234", "98765"),
        ("0012.50", "1.5"),
        ("1E10", "2E10", "3E05"),
        ("1e3", "12"),
        ("123456789012345678901234567890", "1"),
    ],
)
def test_identifiers_stay_the_text_that_they_are_and_it_is_said(texts: tuple[str, ...]) -> None:
    column = typed(*texts)
    assert (column.type, column.values.to_pylist()) == (ColumnType.TEXT, list(texts))
    assert "글로 두었습니다" in column.warnings[0].ko
    assert column.bad == []


def test_one_identifier_among_many_whole_numbers_is_not_a_bad_cell() -> None:
    texts = [*map(str, range(1, 1000)), "0042"]
    assert typed(*texts).values.to_pylist() == texts


def test_a_remark_that_begins_with_a_zero_says_nothing_about_prose() -> None:
    assert typed("ready", "late", "007").warnings == []


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (("1", "-2", "1,200"), [1, -2, 1200]),
        (("0", "999999999999999999"), [0, 999_999_999_999_999_999]),
        (("0.5", "1.5E-05", "1E+10", "3e-2"), [0.5, 1.5e-05, 1e10, 3e-2]),
        (("9223372036854775808", "1"), [Decimal(2**63), Decimal(1)]),
        (("1,234,567,890,123,456,789.5", "2"), [Decimal("1234567890123456789.5"), Decimal(2)]),
        (("1234567890123456.25", "0.5"), [Decimal("1234567890123456.25"), Decimal("0.5")]),
    ],
)
def test_numbers_are_read_in_the_type_that_holds_them(
    texts: tuple[str, ...], values: list[object]
) -> None:
    column = typed(*texts)
    assert (column.values.to_pylist(), column.warnings) == (values, [])


def test_digits_beyond_a_float_are_said_and_an_overflow_is_a_bad_cell() -> None:
    rounded = typed("0.1234567890123456789", "0.5")
    assert rounded.type is ColumnType.NUMBER
    assert "반올림" in rounded.warnings[0].ko
    assert typed(*["1.5"] * 99, "1.0e999").bad == [99]


def test_whoever_asks_for_whole_numbers_gets_them_from_padded_ones() -> None:
    column = typed("007", "x", wanted=ColumnType.INTEGER)
    assert (column.values.to_pylist(), column.bad) == ([7, None], [1])


@pytest.mark.parametrize(
    ("good", "impossible"),
    [
        ("2026-01-31", "2026-02-31"),
        ("2026-01-31", "2026-02-29"),
        ("2026.1.31", "2026.4.31"),
        ("31/01/2026", "31/06/2026"),
        ("01/31/2026", "02/30/2026"),
        ("31-Jan-26", "31-Apr-26"),
        ("2026-01-31 10:00", "2026-02-30 10:00"),
        ("2026-01-31T10:00:00Z", "2026-02-30T10:00:00Z"),
        ("2026-01-31 10:00:00", "2026-01-31 23:59:60"),
    ],
)
def test_a_day_that_its_month_does_not_have_is_a_bad_cell(good: str, impossible: str) -> None:
    column = typed(*[good] * 99, impossible)
    assert column.type in {ColumnType.DATE, ColumnType.TIME}
    assert column.bad == [99]
    assert column.values[99].as_py() is None


def test_a_leap_day_and_a_two_digit_year_are_dates() -> None:
    assert typed("2028-02-29").values.to_pylist() == [date(2028, 2, 29)]
    assert typed("13/02/26").values.to_pylist() == [date(2026, 2, 13)]
