"""Defaults follow from the file; prices are read as people write them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from databank.cli.bad_answer import BadAnswerError
from databank.cli.questions import (
    Options,
    default_name,
    parse_price,
    read_columns,
    read_title,
)
from schemas.ids import DATASET_NAME
from schemas.price import PriceKind


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Steel Industry.csv", "steel_industry"),
        ("2026-11.xlsx", "data_2026_11"),
        ("공정_에너지.csv", "dataset_20261124_3"),
        ("order.csv", "order_data"),
        ("x" * 80 + ".csv", "x" * 63),
    ],
)
def test_the_name_in_sql_follows_from_the_files(file: str, name: str) -> None:
    taken = {"dataset_20261124_1": 0, "dataset_20261124_2": 0}
    assert default_name(Path(file), taken, today=date(2026, 11, 24)) == name
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


@pytest.mark.parametrize("text", ["  ", "x" * 5000])
def test_a_title_is_neither_empty_nor_endless(text: str) -> None:
    with pytest.raises(BadAnswerError):
        read_title(text)


def test_columns_are_corrected_by_name() -> None:
    options = Options(types=["weight=number"], units=["weight = kg"], sensitivities=["b=public"])
    changes = [change.to_json() for change in read_columns(options)]
    assert changes == [
        {"name": "weight", "type": "number", "unit": "kg"},
        {"name": "b", "sensitivity": "public"},
    ]


@pytest.mark.parametrize("text", ["weight", "=number", "weight=heavy"])
def test_other_corrections_are_refused(text: str) -> None:
    with pytest.raises(BadAnswerError):
        read_columns(Options(types=[text]))
