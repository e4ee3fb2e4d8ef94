"""Contributions in steps: exact whole numbers, whatever stands in the column."""

from __future__ import annotations

import duckdb

from connector.statistics.request import Scope, atoms_sql

SCOPE = Scope("company", ("region",), ("kwh",), ("0.001",))
ROWS = """
    ('a', 'x', 1.5::DOUBLE), ('a', 'x', 'nan'::DOUBLE), ('a', 'x', 'inf'::DOUBLE),
    ('a', 'x', '-inf'::DOUBLE), ('a', 'x', NULL), ('a', 'y', 1e300), ('a', 'y', 1e300),
    (NULL, 'x', 7.0), ('b', 'x', NULL), ('c', NULL, -0.0004)
"""


def held(rows: str) -> list[tuple[object, ...]]:
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE d AS SELECT * FROM (VALUES {rows}) t(company, region, kwh)")
    found = connection.execute(atoms_sql(SCOPE, "d")).fetchall()
    return sorted((e, t, n, some, int(units)) for _, t, e, n, some, units in found)


def test_nulls_and_what_is_no_number_count_as_rows_only_and_nothing_overflows() -> None:
    assert held(ROWS) == [
        ("a", "x", 5, 1, 1500),
        ("a", "y", 2, 2, 2 * 10**18),
        ("b", "x", 1, 0, 0),
        ("c", None, 1, 1, 0),
    ]


def test_the_order_of_rows_does_not_change_a_sum() -> None:
    values = [0.1, 1e12, -1e12, 0.2, 0.3] * 20
    rows = [f"('a', 'x', {value!r}::DOUBLE)" for value in values]
    assert held(", ".join(rows)) == held(", ".join(sorted(rows)))
    assert held(", ".join(rows))[0][-1] == 20 * 600
