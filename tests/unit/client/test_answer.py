"""A mistake in a query is told by the buyer's own words, before anything is paid."""

from __future__ import annotations

import pyarrow as pa
import pytest

from databank.client.answer import UnjoinedError, answer_locally, check_plan
from databank.client.cost import Cost
from databank.client.plan import make_plan, unknown_columns
from databank.client.ref import Ref, SqlError, UnknownColumnError
from schemas.dataset import Column, ColumnType, DatasetSchema
from schemas.wire import Text

CARBON, PROCESS = Ref("hanbit", "carbon"), Ref("daehan", "process")


def _schema(**types: ColumnType) -> DatasetSchema:
    label = Text(ko="열", en="column")
    return DatasetSchema(
        columns=tuple(Column(name=n, type=t, label=label) for n, t in types.items())
    )


SCHEMAS = {
    CARBON: _schema(lot=ColumnType.INTEGER, kg=ColumnType.NUMBER, grade=ColumnType.TEXT),
    PROCESS: _schema(lot=ColumnType.INTEGER, temp=ColumnType.NUMBER),
}
COLUMNS = {ref: [c.name for c in schema.columns] for ref, schema in SCHEMAS.items()}


def _check(sql: str) -> None:
    check_plan(sql, make_plan(sql, COLUMNS), SCHEMAS)


@pytest.mark.parametrize(
    ("sql", "name", "near"),
    [
        ("SELECT kgg FROM hanbit.carbon", "kgg", "kg"),
        ("SELECT c.temperature FROM hanbit.carbon c", "temperature", "lot, kg, grade"),
        ("SELECT grad FROM hanbit.carbon JOIN daehan.process USING (lot)", "grad", "grade"),
        ("SELECT kg FROM hanbit.carbon WHERE 등급 = 'a'", "등급", "lot, kg, grade"),
    ],
)
def test_a_column_that_there_is_not_is_named(sql: str, name: str, near: str) -> None:
    only = {CARBON: COLUMNS[CARBON]} if "daehan" not in sql else COLUMNS
    schemas = {ref: SCHEMAS[ref] for ref in only}
    with pytest.raises(UnknownColumnError) as error:
        check_plan(sql, make_plan(sql, only), schemas)
    assert error.value.members["columns"] == [name]
    for text in (error.value.detail.ko, error.value.detail.en):
        assert name in text
        assert near in text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT kg AS w, w * 2 AS d FROM hanbit.carbon ORDER BY d",
        "WITH q(a, b) AS (SELECT lot, kg FROM hanbit.carbon) SELECT a, b FROM q",
        "SELECT list_transform([kg], x -> x + 1) FROM hanbit.carbon",
        "SELECT carbon FROM hanbit.carbon",
        "SELECT t.v FROM hanbit.carbon, unnest([1, 2]) AS t(v)",
        "SELECT c.kg FROM hanbit.carbon c JOIN daehan.process p ON c.lot = p.lot",
        "PIVOT hanbit.carbon ON grade USING sum(kg)",
    ],
)
def test_what_is_right_passes(sql: str) -> None:
    refs = [ref for ref in COLUMNS if str(ref) in sql]
    columns = {ref: COLUMNS[ref] for ref in refs}
    if not sql.startswith("PIVOT"):
        assert unknown_columns(sql, columns) == ()
        check_plan(sql, make_plan(sql, columns), {ref: SCHEMAS[ref] for ref in refs})


def test_what_fails_here_is_refused_before_the_parts_are_paid() -> None:
    with pytest.raises(SqlError) as error:
        _check("SELECT no_such(kg) FROM hanbit.carbon c JOIN daehan.process p ON c.lot = p.lot")
    assert "no_such" in error.value.detail.ko
    assert "청구되지 않았습니다" in error.value.detail.ko


def test_parts_that_were_paid_are_kept_when_the_rest_fails() -> None:
    sql = "SELECT CAST(grade AS INT) FROM hanbit.carbon c JOIN daehan.process p ON c.lot = p.lot"
    _check(sql)  # only the rows are to blame
    tables = {
        CARBON: pa.table({"lot": [1], "grade": ["a"]}),
        PROCESS: pa.table({"lot": [1]}),
    }
    cost = Cost((), is_charged=True)
    with pytest.raises(UnjoinedError) as error:
        answer_locally(make_plan(sql, COLUMNS), tables, cost)
    assert error.value.parts == tables
    assert "이미 청구" in error.value.detail.ko
