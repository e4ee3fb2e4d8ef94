"""The answer to a query: a DuckDB relation in memory, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from databank.client.cost import Cost
from databank.client.plan import Plan, unknown_columns
from databank.client.ref import Ref, SqlError, UnknownColumnError
from schemas.dataset import DatasetSchema
from schemas.wire import Text

if TYPE_CHECKING:
    import pandas as pd

COLUMNS_NAMED: Final = 30  # of those that there are, in a message


class UnjoinedError(SqlError):
    """The suppliers' parts came and are paid, but the rest of the query fails over them.

    ``parts`` holds what was paid for, by dataset.
    """

    slug = "unjoined"
    title = Text(
        ko="받은 데이터로 질의를 마치지 못했습니다", en="The query fails over what was received"
    )

    def __init__(self, error: Exception, parts: Mapping[Ref, pa.Table], cost: Cost) -> None:
        said = _first_line(error)
        super().__init__(
            ko=f"{said}. 공급기업에서 받은 행은 이미 청구되었고, 이 오류의 parts에 있습니다.",
            en=f"{said}. The suppliers' rows are charged; they are in this error's parts.",
        )
        self.parts = parts
        self.cost = cost


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
        UnjoinedError: DuckDB fails at the query.
    """
    connection = _over(tables)
    if plan.local_sql is None:
        return Answer(connection, sql="FROM part_0", cost=cost)
    try:
        result: Any = connection.sql(plan.local_sql).to_arrow_table()
    except duckdb.Error as error:
        raise UnjoinedError(error, tables, cost) from None
    connection.register("answer", result)
    return Answer(connection, sql="FROM answer", cost=cost)


def check_plan(sql: str, plan: Plan, schemas: Mapping[Ref, DatasetSchema]) -> None:
    """Look for mistakes in a query before anybody is asked, with the columns that are licensed.

    A query that only a supplier's engine could judge passes.

    Raises:
        UnknownColumnError: It names a column that there is not.
        SqlError: What would run here, after the suppliers' parts were paid, cannot run.
    """
    if "pivot" in sql.lower():
        return  # its columns follow from the rows
    connection = _over({ref: schema.to_arrow().empty_table() for ref, schema in schemas.items()})
    try:
        for part in plan.parts:
            bare = f'"{part.ref.handle}"."{part.ref.name}"'
            connection.execute(f'CREATE OR REPLACE VIEW main."{part.ref.name}" AS FROM {bare}')
            connection.sql(part.sql)
        if plan.local_sql is not None:
            connection.sql(plan.local_sql)
    except duckdb.Error as error:
        columns = {ref: [c.name for c in schema.columns] for ref, schema in schemas.items()}
        if unknown := unknown_columns(sql, columns):
            raise _unknown(unknown, columns) from None
        if plan.local_sql is not None:
            said = _first_line(error)
            raise SqlError(
                ko=f"질의를 실행할 수 없습니다: {said}. 아무것도 청구되지 않았습니다.",
                en=f"The query cannot be run: {said}. Nothing was charged.",
            ) from None


def _unknown(unknown: tuple[str, ...], columns: Mapping[Ref, list[str]]) -> UnknownColumnError:
    there = list(dict.fromkeys(name for names in columns.values() for name in names))
    near = [match for name in unknown for match in get_close_matches(name, there, n=1)]
    shown = ", ".join(near or there[:COLUMNS_NAMED])
    named = ", ".join(unknown)
    datasets = ", ".join(map(str, columns))
    return UnknownColumnError(
        ko=f"{datasets}에 없는 열: {named}. {'혹시' if near else '있는 열'}: {shown}. "
        "아무것도 청구되지 않았습니다.",
        en=f"Not a column of {datasets}: {named}. {'Perhaps' if near else 'There are'}: {shown}. "
        "Nothing was charged.",
        columns=list(unknown),
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(". ")


def _over(tables: Mapping[Ref, pa.Table]) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB in which each table is called as the query calls it."""
    connection = _locked_duckdb()
    for number, (ref, table) in enumerate(tables.items()):
        connection.register(f"part_{number}", table)
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{ref.handle}"')
        connection.execute(f'CREATE VIEW "{ref.handle}"."{ref.name}" AS FROM part_{number}')
    return connection


def _locked_duckdb() -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB that reads no files and, as suppliers do, knows time in UTC."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_external_access = false")
    return connection


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
