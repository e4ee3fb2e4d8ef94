"""What is asked of each supplier is as little as the query allows."""

from __future__ import annotations

import pytest

from databank.client.plan import find_refs, make_plan
from databank.client.ref import Ref, SqlError

CARBON, PROCESS = Ref("hanbit", "carbon"), Ref("daehan", "process")
COLUMNS = {CARBON: ("Lot", "kg", "grade", "보고연월"), PROCESS: ("lot", "temp", "line")}


def _parts(sql: str) -> dict[str, str]:
    return {part.ref.name: part.sql for part in make_plan(sql, COLUMNS).parts}


def test_a_query_over_one_dataset_goes_to_its_supplier_whole() -> None:
    plan = make_plan("SELECT grade, sum(kg) FROM hanbit.carbon GROUP BY 1 LIMIT 3", COLUMNS)
    assert plan.local_sql is None
    assert [part.sql for part in plan.parts] == [
        "SELECT grade, SUM(kg) FROM carbon AS carbon GROUP BY 1 LIMIT 3"
    ]


def test_columns_and_conditions_are_pushed_to_each_supplier() -> None:
    parts = _parts(
        "SELECT c.보고연월, p.line FROM hanbit.carbon c JOIN daehan.process p ON c.lot = p.lot "
        "AND p.temp > 5 WHERE c.kg > 1 AND (c.grade = 'a' OR c.grade IS NULL) AND random() < 2"
    )
    assert parts == {
        "carbon": 'SELECT "Lot", "kg", "grade", "보고연월" FROM "carbon" '
        "WHERE kg > 1 AND (grade = 'a' OR grade IS NULL)",
        "process": 'SELECT "lot", "temp", "line" FROM "process" WHERE temp > 5',
    }


def test_the_padded_side_of_an_outer_join_keeps_all_its_rows() -> None:
    parts = _parts(
        "SELECT c.lot FROM hanbit.carbon c LEFT JOIN daehan.process p ON c.lot = p.lot "
        "WHERE p.temp IS NULL AND c.kg > 1"
    )
    assert parts["process"] == 'SELECT "lot", "temp" FROM "process"'
    assert parts["carbon"].endswith("WHERE kg > 1")


def test_a_dataset_that_is_mentioned_twice_is_asked_once_for_both() -> None:
    parts = _parts(
        "SELECT 1 FROM hanbit.carbon a, hanbit.carbon b, daehan.process "
        "WHERE a.kg = 1 AND b.kg = 2 AND a.grade = b.grade"
    )
    assert parts["carbon"] == 'SELECT "kg", "grade" FROM "carbon" WHERE kg = 1 OR kg = 2'
    assert parts["process"] == 'SELECT "lot" FROM "process"'


def test_a_whole_row_as_a_value_needs_every_column() -> None:
    parts = _parts("SELECT p FROM daehan.process p LEFT JOIN hanbit.carbon c ON p.lot = c.lot")
    assert parts["process"] == 'SELECT "lot", "temp", "line" FROM "process"'


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM hanbit.carbon",
        "SELECT 1",
        "SELECT * FROM carbon",
        "SELECT * FROM a.b.c",
        "SELECT 1 FROM hanbit.carbon; SELECT 2 FROM hanbit.carbon",
        "SELECT FROM WHERE",
        "ATTACH 'x'",
    ],
)
def test_anything_but_one_select_over_datasets_is_refused(sql: str) -> None:
    with pytest.raises(SqlError) as error:
        find_refs(sql)
    assert error.value.detail.ko != error.value.detail.en


def test_names_are_found_behind_ctes_and_in_subqueries() -> None:
    sql = (
        "WITH q AS (SELECT * FROM Hanbit.Carbon) "
        "SELECT (SELECT max(temp) FROM daehan.process) FROM q"
    )
    assert set(find_refs(sql)) == {CARBON, PROCESS}


@pytest.mark.parametrize("text", ["carbon", "a.b.c", "", "1.2", "hanbit."])
def test_a_reference_has_two_parts(text: str) -> None:
    with pytest.raises(SqlError):
        Ref.parse(text)
