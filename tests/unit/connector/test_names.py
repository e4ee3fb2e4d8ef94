"""Every name that no query could use, at the buyer's or at the supplier's, is refused."""

from __future__ import annotations

import duckdb

from databank.client.plan import find_refs
from databank.client.ref import SqlError
from schemas.dataset import RESERVED_NAMES
from schemas.ids import DATASET_NAME
from schemas.sql_words import SQL_WORDS


def is_usable(name: str, connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a buyer can name it after the company, and DuckDB reads it as a table."""
    try:
        find_refs(f"SELECT * FROM company.{name}")
        connection.execute(f'CREATE TABLE "{name}" (i INTEGER)')
        connection.execute(f"SELECT count(*) FROM {name}")
    except (SqlError, duckdb.Error):
        return False
    return True


def test_the_words_that_sql_keeps_for_itself_are_refused_and_hardly_more() -> None:
    with duckdb.connect() as connection:
        rows = connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
        keywords = {name for (name,) in rows if DATASET_NAME.match(name)}
        unusable = {name for name in keywords | RESERVED_NAMES if not is_usable(name, connection)}
    assert unusable <= RESERVED_NAMES
    assert RESERVED_NAMES - unusable <= SQL_WORDS
