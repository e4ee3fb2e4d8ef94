"""Every value becomes valid JSON, and cells read as people write them."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from databank.cli.jsontext import cell_text, json_text, time_text

NOON = datetime(2026, 11, 24, 3, 0, 5, tzinfo=UTC)  # noon in Seoul


def _refuse(word: str) -> None:
    raise AssertionError(f"not JSON: {word}")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        ([-math.inf, {"a": math.nan}], ["-Infinity", {"a": "NaN"}]),
        (NOON.astimezone(timezone(timedelta(hours=9))), "2026-11-24T03:00:05Z"),
        (datetime(2026, 11, 24, 3), "2026-11-24T03:00:00"),  # noqa: DTZ001 - DuckDB has such
        (date(2026, 11, 24), "2026-11-24"),
        (Decimal("1.500000000000000000"), "1.5"),
        (b"\x00\xff", "00ff"),
        ((1, None, True, "가"), [1, None, True, "가"]),
    ],
)
def test_what_json_has_no_word_for_is_a_string(value: Any, said: Any) -> None:
    assert json.loads(json_text(value), parse_constant=_refuse) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, ""),
        (Decimal("1.500000000000000000"), "1.5"),
        (Decimal(1200), "1200"),
        (Decimal("0E-18"), "0"),
        (Decimal("-0.010"), "-0.01"),
        (NOON, "2026-11-24 12:00:05+09:00"),
        (math.nan, "nan"),
    ],
)
def test_cells_have_no_needless_zeros_and_korean_time(value: Any, said: str) -> None:
    assert cell_text(value) == said


def test_times_say_that_they_are_korean() -> None:
    assert time_text(NOON) == "2026-11-24 12:00 KST"
    assert time_text(NOON, has_seconds=True) == "2026-11-24 12:00:05 KST"
