"""Names that SQL takes without quotes."""

from __future__ import annotations

import duckdb
import pytest

from schemas.sql_words import SQL_WORDS, check_sql_name


def test_the_words_are_those_that_the_engine_reserves() -> None:
    query = (
        "SELECT DISTINCT keyword_name FROM duckdb_keywords() "
        "WHERE keyword_category IN ('reserved', 'type_function')"
    )
    with duckdb.connect() as engine:
        rows = engine.execute(query).fetchall()
    assert {row[0] for row in rows} == SQL_WORDS


@pytest.mark.parametrize("name", ["select", "Order", "left"])
def test_a_word_of_sql_is_refused_with_a_proposal(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}_1"):
        check_sql_name(name)


def test_other_names_pass() -> None:
    assert check_sql_name("carbon") == "carbon"
