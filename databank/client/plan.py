"""What of a query each supplier is asked, and what stays for the local DuckDB.

Pure: SQL text and column names in, SQL texts out. Rules:

* A dataset stands in SQL as ``handle.name``. Anything else in FROM is a CTE or a table function.
* A query over one dataset goes to its supplier whole.
* Otherwise every dataset is asked once, for the columns that the query mentions and the rows
  that pass the conditions on that dataset alone. The query itself then runs locally, unchanged,
  over the answers: a condition that was not pushed down is never lost, only dearer.
* In doubt nothing is pushed down. Rows are only left out where every use of the dataset in the
  query would leave them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.qualify_columns import qualify_columns
from sqlglot.optimizer.qualify_tables import qualify_tables
from sqlglot.optimizer.scope import Scope, traverse_scope

from databank.client.pushdown import Uses, condition_of
from databank.client.ref import Ref, SqlError

DIALECT: Final = "duckdb"
SQL_CHARS_MAX: Final = 65_536  # as schemas.management.QueryRequest
DATASETS_MAX: Final = 32
_OPAQUE: Final = (exp.Pivot, exp.Columns, exp.TableSample, exp.TableColumn)  # use columns unnamed


@dataclass(frozen=True, slots=True)
class Part:
    """What one supplier is asked; ``sql`` calls the dataset by its name alone."""

    ref: Ref
    sql: str


@dataclass(frozen=True, slots=True)
class Plan:
    """``local_sql`` runs over the parts' answers; none if the only part is the whole query."""

    parts: tuple[Part, ...]
    local_sql: str | None


def find_refs(sql: str) -> tuple[Ref, ...]:
    """Return the datasets that a query mentions.

    Raises:
        SqlError: Not one SELECT, or a table that is not written as ``handle.name``.
    """
    return tuple(dict.fromkeys(_ref_of(table) for table in _datasets(_parse(sql))))


def make_plan(sql: str, columns: Mapping[Ref, Sequence[str]]) -> Plan:
    """Decide what each supplier is asked.

    Args:
        sql: One DuckDB SELECT.
        columns: The columns of each dataset that ``find_refs`` found, in their order.

    Raises:
        SqlError: As ``find_refs``.
    """
    query = _parse(sql)
    refs = tuple(dict.fromkeys(_ref_of(table) for table in _datasets(query)))
    if len(refs) == 1 and not _has_cte_named(query, refs[0].name):
        return Plan((Part(refs[0], _without_handles(query)),), None)
    uses = _uses(query, columns)
    everything = Uses(all_columns=True)
    parts = tuple(
        Part(ref, _part_sql(ref, columns[ref], uses.get(ref, everything))) for ref in refs
    )
    return Plan(parts, sql)


def unknown_columns(sql: str, columns: Mapping[Ref, Sequence[str]]) -> tuple[str, ...]:
    """Return the columns in a query that neither a dataset has nor the query itself names.

    Only the query's own words and the licensed columns are looked at. A name that the query
    gives to anything counts as known, so this finds fewer than there are, never more.
    """
    query = _parse(sql)
    known = {name.lower() for names in columns.values() for name in names}
    known |= {name.lower() for ref in columns for name in (ref.name, ref.handle)}
    known |= {each.alias.lower() for each in query.find_all(exp.Alias, exp.Table, exp.CTE)}
    for alias in query.find_all(exp.TableAlias):
        known |= {alias.name.lower(), *(column.name.lower() for column in alias.columns)}
    for lambda_ in query.find_all(exp.Lambda):
        known |= {argument.name.lower() for argument in lambda_.expressions}
    mentioned = (column.name for column in query.find_all(exp.Column) if column.name)
    return tuple(dict.fromkeys(name for name in mentioned if name.lower() not in known))


def with_handle(sql: str, ref: Ref) -> str:
    """Return the query with the dataset's bare name written in full, other names as they are.

    Raises:
        SqlError: Not one SELECT.
    """
    query = _parse(sql)
    for table in query.find_all(exp.Table):
        is_bare = not table.db and table.name.lower() == ref.name and not _is_cte(table)
        if is_bare and not isinstance(table.this, exp.Func):
            table.set("db", exp.to_identifier(ref.handle))
    return query.sql(DIALECT)


def _parse(sql: str) -> exp.Query:
    if len(sql) > SQL_CHARS_MAX:
        raise SqlError(
            ko=f"SQL이 {SQL_CHARS_MAX:,}자를 넘습니다.",
            en=f"The SQL is longer than {SQL_CHARS_MAX:,} characters.",
        )
    try:
        statements = [s for s in sqlglot.parse(sql, dialect=DIALECT) if s is not None]
    except (SqlglotError, RecursionError) as error:
        raise SqlError(
            ko=f"SQL을 읽을 수 없습니다: {error}", en=f"The SQL cannot be read: {error}"
        ) from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise SqlError(ko="SELECT 하나만 쓸 수 있습니다.", en="Write exactly one SELECT.")
    return statements[0]


def _datasets(query: exp.Query) -> list[exp.Table]:
    """Return every mention of a dataset."""
    found = []
    for table in query.find_all(exp.Table, bfs=False):
        if isinstance(table.this, exp.Func):
            continue
        if table.catalog or not table.db:
            if not table.catalog and _is_cte(table):
                continue
            raise SqlError(
                ko=f"테이블 {table.sql(DIALECT)}: 데이터셋은 '회사.이름'으로 적습니다.",
                en=f"Table {table.sql(DIALECT)}: a dataset is written as handle.name.",
            )
        found.append(table)
    if not found:
        raise SqlError(
            ko="데이터셋이 없는 질의입니다. '회사.이름'으로 적으세요.",
            en="The query mentions no dataset. Write it as handle.name.",
        )
    if len({_ref_of(table) for table in found}) > DATASETS_MAX:
        raise SqlError(
            ko=f"데이터셋은 한 질의에 {DATASETS_MAX}개까지입니다.",
            en=f"A query takes at most {DATASETS_MAX} datasets.",
        )
    return found


def _is_cte(table: exp.Table) -> bool:
    """Whether a WITH around the table defines its name."""
    above = table.parent
    while above is not None:
        with_ = above.args.get("with_")
        if isinstance(with_, exp.With):
            if any(cte.alias.lower() == table.name.lower() for cte in with_.expressions):
                return True
        above = above.parent
    return False


def _has_cte_named(query: exp.Query, name: str) -> bool:
    """Whether the dataset's bare name means something else in the query."""
    return any(cte.alias.lower() == name for cte in query.find_all(exp.CTE))


def _ref_of(table: exp.Table) -> Ref:
    return Ref(table.db.lower(), table.name.lower())


def _without_handles(query: exp.Query) -> str:
    """Return the query with each dataset called by its name alone."""
    own = query.copy()
    for column in own.find_all(exp.Column):
        column.set("db", None)
    for table in _datasets(own):
        table.set("db", None)
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
    return own.sql(DIALECT)


def _part_sql(ref: Ref, columns: Sequence[str], uses: Uses) -> str:
    wanted = [c for c in columns if uses.all_columns or c.lower() in uses.columns]
    select = exp.select(*[exp.column(c, quoted=True) for c in wanted or columns[:1]])
    select = select.from_(exp.to_table(f'"{ref.name}"', dialect=DIALECT))
    condition = uses.condition()
    return (select if condition is None else select.where(condition)).sql(DIALECT)


def _uses(query: exp.Query, columns: Mapping[Ref, Sequence[str]]) -> dict[Ref, Uses]:
    """Return what the query needs of each dataset; a dataset that is missing: everything."""
    if query.find(*_OPAQUE) or any(with_.recursive for with_ in query.find_all(exp.With)):
        return {}
    schema: dict[str, object] = {}
    for ref, names in columns.items():
        tables = schema.setdefault(ref.handle, {})
        assert isinstance(tables, dict)
        tables[ref.name] = dict.fromkeys((n.lower() for n in names), "UNKNOWN")
    try:
        bound = qualify_columns(
            qualify_tables(normalize_identifiers(query.copy(), dialect=DIALECT), dialect=DIALECT),
            schema,
            expand_alias_refs=False,
            expand_stars=False,
            allow_partial_qualification=True,
            dialect=DIALECT,
        )
        scopes = traverse_scope(bound)
    except (SqlglotError, RecursionError):
        return {}
    if bound.find(exp.TableColumn):  # a whole row as one value, found only by qualifying
        return {}
    return _collect(scopes, columns)


def _collect(scopes: Sequence[Scope], columns: Mapping[Ref, Sequence[str]]) -> dict[Ref, Uses]:
    uses = {ref: Uses() for ref in columns}
    rows = {alias: _ref_of(t) for scope in scopes for alias, t in _tables(scope).items()}
    for scope in scopes:
        tables = _tables(scope)
        for alias, table in tables.items():
            uses[_ref_of(table)].conditions.append(condition_of(scope.expression, alias))
        for table in _starred(scope, tables):
            uses[_ref_of(table)].all_columns = True
        for column in scope.columns:
            name = column.name.lower()
            if column.table in tables:
                uses[_ref_of(tables[column.table])].columns.add(name)
            elif not column.table and name in rows:  # the whole row as one value
                uses[rows[name]].all_columns = True
            elif not column.table:
                for use in uses.values():
                    use.columns.add(name)
    return uses


def _tables(scope: Scope) -> dict[str, exp.Table]:
    """Return the datasets that a scope reads from, by alias."""
    return {
        alias: source
        for alias, source in scope.sources.items()
        if isinstance(source, exp.Table) and source.db and not isinstance(source.this, exp.Func)
    }


def _starred(scope: Scope, tables: Mapping[str, exp.Table]) -> list[exp.Table]:
    """Return the datasets of which a scope wants every column."""
    expression = scope.expression
    if any(join.args.get("method") == "NATURAL" for join in expression.args.get("joins") or ()):
        return list(tables.values())
    wanted: list[exp.Table] = []
    for star in expression.find_all(exp.Star):
        parent = star.parent
        if isinstance(parent, exp.Column):
            wanted += [table for alias, table in tables.items() if alias == parent.table]
        elif not isinstance(parent, exp.Count):
            wanted += tables.values()
    return wanted
