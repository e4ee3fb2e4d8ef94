"""Defaults follow from the file; prices are read as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from databank.cli.questions import BadAnswerError, default_name, parse_price
from schemas.ids import DATASET_NAME
from schemas.price import PriceKind


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Steel Industry.csv", "steel_industry"),
        ("2026-11.xlsx", "data_2026_11"),
        ("공정_에너지.csv", "data"),
        ("x" * 80 + ".csv", "x" * 63),
    ],
)
def test_the_name_in_sql_follows_from_the_files(file: str, name: str) -> None:
    assert default_name(Path(file)) == name
    assert DATASET_NAME.match(name)


def test_prices_are_read_in_won() -> None:
    plan = parse_price("once=5,000 row=0.5")
    assert [(c.kind, c.amount_micro) for c in plan.components] == [
        (PriceKind.ONE_OFF, 5_000_000_000),
        (PriceKind.PER_ROW, 500_000),
    ]
    assert parse_price("free").is_free
    assert parse_price("무료").is_free


@pytest.mark.parametrize("text", ["", "row", "row=x", "hour=3", "row=-1", "row=0"])
def test_other_prices_are_refused(text: str) -> None:
    with pytest.raises(BadAnswerError):
        parse_price(text)
