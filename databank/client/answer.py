"""The answer to a query: a DuckDB relation in memory, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from databank.client.cost import Cost
from databank.client.plan import Plan
from databank.client.ref import Ref, SqlError

if TYPE_CHECKING:
    import pandas as pd


class Answer:
    """Rows and their cost; everything is already here, reading it again costs nothing."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, sql: str, cost: Cost) -> None:
        self._connection = connection  # the relation lives as long as its connection
        self._sql = sql
        self.cost = cost

    @property
    def rel(self) -> duckdb.DuckDBPyRelation:
        """A fresh DuckDB relation over the answer."""
        return self._connection.sql(self._sql)

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table."""
        return self.rel.to_arrow_table()

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas data frame."""
        frame: pd.DataFrame = self.rel.df()
        return frame

    def show(self) -> None:
        """Print the first rows and the cost."""
        print(self)  # noqa: T201 - that is what it is for

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the rows to pandas, polars or pyarrow without a copy."""
        capsule: object = self.to_arrow().__arrow_c_stream__(requested_schema)
        return capsule

    def __repr__(self) -> str:
        return f"{self.rel}\n{self.cost}"

    def _repr_html_(self) -> str:
        return f"<pre>{_escaped(str(self.rel))}</pre>{self.cost._repr_html_()}"


def answer_locally(plan: Plan, tables: Mapping[Ref, pa.Table], cost: Cost) -> Answer:
    """Run what stays of a plan over the suppliers' answers.

    Raises:
        SqlError: DuckDB refuses the query.
    """
    connection = _locked_duckdb()
    for number, (ref, table) in enumerate(tables.items()):
        connection.register(f"part_{number}", table)
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{ref.handle}"')
        connection.execute(f'CREATE VIEW "{ref.handle}"."{ref.name}" AS FROM part_{number}')
    if plan.local_sql is None:
        return Answer(connection, sql="FROM part_0", cost=cost)
    try:
        result: Any = connection.sql(plan.local_sql).to_arrow_table()
    except duckdb.Error as error:
        raise SqlError(f"질의를 실행할 수 없습니다 (cannot be run): {error}") from None
    connection.register("answer", result)
    return Answer(connection, sql="FROM answer", cost=cost)


def _locked_duckdb() -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB that reads no files and, as suppliers do, knows time in UTC."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_external_access = false")
    return connection


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
