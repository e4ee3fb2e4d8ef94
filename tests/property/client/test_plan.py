"""A planned query gives what DuckDB gives on the raw tables, whatever the query."""

from __future__ import annotations

from collections import Counter
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from databank.client.plan import Plan, make_plan
from databank.client.ref import Ref

COLUMNS: dict[Ref, tuple[str, ...]] = {
    Ref("hanbit", "carbon"): ("Lot", "kg", "grade"),
    Ref("daehan", "process"): ("lot", "temp", "line"),
    Ref("mirae", "energy"): ("lot", "kwh", "grade"),
}
NUMBERS = st.one_of(st.none(), st.integers(0, 3))
WORDS = st.one_of(st.none(), st.sampled_from(["a", "b", "ab"]))
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, WORDS), max_size=7)
TABLES = st.fixed_dictionaries(dict.fromkeys(COLUMNS, ROWS))
OPERATORS = st.sampled_from(["=", "<>", "<", ">=", "IS DISTINCT FROM"])
JOINS = st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"])


@st.composite
def _source(draw: st.DrawFn, alias: str) -> tuple[str, str, tuple[str, ...]]:
    ref = draw(st.sampled_from(list(COLUMNS)))
    return f"{ref} AS {alias}", alias, COLUMNS[ref]


@st.composite
def _condition(draw: st.DrawFn, sources: list[tuple[str, tuple[str, ...]]], depth: int = 2) -> str:
    alias, (key, number, word) = draw(st.sampled_from(sources))
    simple = [
        f"{alias}.{number} {draw(OPERATORS)} {draw(st.integers(0, 3))}",
        f"{alias}.{number} IS NULL",
        f"{alias}.{key} IN (1, {draw(st.integers(0, 3))})",
        f"{alias}.{number} BETWEEN 1 AND 2",
        f"{alias}.{word} LIKE 'a%'",
        f"{alias}.{key} = {alias}.{number}",
        f"coalesce({alias}.{number}, 9) > 2",
        f"EXISTS (SELECT 1 FROM mirae.energy e WHERE e.lot = {alias}.{key} AND e.kwh > 0)",
        f"{alias}.{key} IN (SELECT lot FROM daehan.process WHERE temp < 3)",
    ]
    if depth == 0:
        return draw(st.sampled_from(simple))
    left, right = draw(_condition(sources, depth - 1)), draw(_condition(sources, depth - 1))
    return draw(
        st.sampled_from([*simple, f"{left} AND {right}", f"({left} OR {right})", f"NOT ({left})"])
    )


@st.composite
def _select(draw: st.DrawFn) -> str:
    count = draw(st.integers(1, 3))
    drawn = [draw(_source(f"t{n}")) for n in range(count)]
    text, visible = drawn[0][0], [(drawn[0][1], drawn[0][2])]
    for source, alias, columns in drawn[1:]:
        join = draw(JOINS)
        key = visible[0][1][0]
        on = f"{visible[0][0]}.{key} = {alias}.{columns[0]}"
        if draw(st.booleans()):
            on += f" AND {draw(_condition([(alias, columns), visible[0]], 0))}"
        if "EXISTS" in on or "SELECT" in on:
            on = on.split(" AND ")[0]
        text += f" {join} {source} ON {on}"
        if join not in {"SEMI JOIN", "ANTI JOIN"}:
            visible.append((alias, columns))
    where = f" WHERE {draw(_condition(visible))}" if draw(st.booleans()) else ""
    alias, (key, number, word) = draw(st.sampled_from(visible))
    return draw(
        st.sampled_from(
            [
                f"SELECT {alias}.{key}, {alias}.{word} FROM {text}{where}",
                f"SELECT count(*) AS n FROM {text}{where}",
                f"SELECT {alias}.{word} AS w, sum({alias}.{number}) FROM {text}{where} GROUP BY 1",
                f"SELECT {alias}.* FROM {text}{where}",
                f"SELECT * FROM {text}{where}",
                f"SELECT {alias}.{number} + 1 AS up FROM {text}{where} ORDER BY up",
                f"SELECT {alias} FROM {text}{where}",
            ]
        )
    )


@st.composite
def _query(draw: st.DrawFn) -> str:
    first = draw(_select())
    return draw(
        st.sampled_from(
            [
                first,
                f"WITH q AS ({first}) SELECT count(*) FROM q, hanbit.carbon c WHERE c.kg > 0",
                f"WITH energy AS ({first}) SELECT count(*) FROM energy",
                f"SELECT s, energy.grade FROM ({first}) s, mirae.energy WHERE energy.kwh < 3",
            ]
        )
    )


def _database(tables: dict[Ref, list[tuple[Any, ...]]], *, handles: bool) -> Any:
    connection = duckdb.connect()
    for ref, rows in tables.items():
        if handles:
            connection.execute(f"CREATE SCHEMA {ref.handle}")
        name = str(ref) if handles else ref.name
        key, number, word = COLUMNS[ref]
        connection.execute(
            f'CREATE TABLE {name} ("{key}" BIGINT, "{number}" BIGINT, "{word}" VARCHAR)'
        )
        if rows:
            connection.executemany(f"INSERT INTO {name} VALUES (?, ?, ?)", rows)
    return connection


def _rows_of(relation: Any) -> tuple[list[str], list[Any]]:
    """Return names and rows as a table of Arrow has them: no HUGEINT, no name twice."""
    table = relation.to_arrow_table()
    values = [column.to_pylist() for column in table.columns]
    connection = duckdb.connect()
    connection.register("answer", table)
    return connection.table("answer").columns, list(zip(*values, strict=True))


def _run_plan(plan: Plan, suppliers: Any) -> tuple[list[str], list[Any]]:
    local = duckdb.connect()
    relation = None
    for number, part in enumerate(plan.parts):
        table = suppliers.sql(part.sql).to_arrow_table()
        local.execute(f"CREATE SCHEMA IF NOT EXISTS {part.ref.handle}")
        local.register(f"part{number}", table)
        local.execute(f"CREATE VIEW {part.ref} AS SELECT * FROM part{number}")
        relation = local.table(f"part{number}")
    if plan.local_sql is not None:
        relation = local.sql(plan.local_sql)
    assert relation is not None
    return _rows_of(relation)


@settings(deadline=None, max_examples=80)
@given(TABLES, _query())
def test_a_planned_query_returns_what_duckdb_returns_on_the_raw_tables(
    tables: dict[Ref, list[tuple[Any, ...]]], sql: str
) -> None:
    columns, rows = _rows_of(_database(tables, handles=True).sql(sql))
    got = _run_plan(make_plan(sql, COLUMNS), _database(tables, handles=False))
    assert got[0] == columns
    assert Counter(map(repr, got[1])) == Counter(map(repr, rows))
