"""Statements that come again and again, run on the database's driver itself.

SQLAlchemy looks each statement up anew, makes a context for its execution and a proxy for its
result, which together cost ten times what SQLite needs for a row. A statement object that is
run for the second time is compiled once, and from then on takes the short way: the same SQL,
the same conversions of values, the same errors and events.
"""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from weakref import WeakKeyDictionary

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Boolean,
    ColumnElement,
    Connection,
    CursorResult,
    Dialect,
    Executable,
    Text,
    bindparam,
)
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    DontWrapMixin,
    InvalidRequestError,
    NoResultFound,
    StatementError,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.types import TypeDecorator, TypeEngine

Values = Mapping[str, Any]
Convert = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class Rows:
    """What a statement found; ``rows`` have their columns as attributes and in order."""

    keys: tuple[str, ...]
    rows: Sequence[Any]
    rowcount: int

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def all(self) -> Sequence[Any]:
        """Return all rows."""
        return self.rows

    def first(self) -> Any | None:  # noqa: ANN401 - a row's columns are the statement's
        """Return the first row, if there is one."""
        return self.rows[0] if self.rows else None

    def one_or_none(self) -> Any | None:  # noqa: ANN401
        """Return the only row, if there is one."""
        assert len(self.rows) <= 1, "more than one row where one is expected"
        return self.first()

    def one(self) -> Any:  # noqa: ANN401
        """Return the only row.

        Raises:
            NoResultFound: There is none.
        """
        row = self.one_or_none()
        if row is None:
            raise NoResultFound("no row where one is expected")
        return row

    def scalar_one_or_none(self) -> Any | None:  # noqa: ANN401
        """Return the first column of the only row, if there is one."""
        row = self.one_or_none()
        return None if row is None else row[0]

    def scalar_one(self) -> Any:  # noqa: ANN401
        """Return the first column of the only row."""
        return self.one()[0]

    def scalars(self) -> list[Any]:
        """Return the first column of every row."""
        return [row[0] for row in self.rows]

    def mappings(self) -> list[dict[str, Any]]:
        """Return every row as its columns by name."""
        return [dict(zip(self.keys, row, strict=True)) for row in self.rows]

    def mapping_or_none(self) -> dict[str, Any] | None:
        """Return the only row as its columns by name, if there is one."""
        row = self.one_or_none()
        return None if row is None else dict(zip(self.keys, row, strict=True))


def rows_of(result: CursorResult[Any]) -> Rows:
    """Return what SQLAlchemy has found."""
    if not result.returns_rows:
        return Rows((), (), result.rowcount)
    rows = result.all()
    return Rows(tuple(result.keys()), rows, result.rowcount)


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as the driver takes it.

    Attributes:
        sql: Its text.
        names: Its parameters in order, each with what converts it.
        constants: Values that stand in the statement.
        is_positional: Whether the driver takes parameters by position.
        make: Makes a row of its columns.
        converted: The columns that are converted, by position, and how.
        keys: The columns' names.
    """

    sql: str
    names: tuple[tuple[str, Convert], ...]
    constants: Values
    is_positional: bool
    make: Callable[[Iterable[Any]], Any]
    converted: tuple[tuple[int, Callable[[Any], Any]], ...]
    keys: tuple[str, ...]

    def parameters(self, values: Values) -> Any:  # noqa: ANN401 - as the driver wants them
        """Return the parameters for these values.

        Raises:
            StatementError: One is missing.
        """
        given = {**self.constants, **values} if self.constants else values
        try:
            made = [given[n] if convert is None else convert(given[n]) for n, convert in self.names]
        except KeyError:
            name = next((name for name, _ in self.names if name not in given), None)
            if name is None:  # what converts a value has failed
                raise
            reason = f"no value for the parameter {name!r}"
            raise StatementError(reason, self.sql, None, InvalidRequestError(reason)) from None
        if self.is_positional:
            return tuple(made)
        return {name: value for (name, _), value in zip(self.names, made, strict=True)}

    def rows(self, found: Iterable[Sequence[Any]]) -> list[Any]:
        """Return rows as SQLAlchemy would convert them."""
        return [self.make(self._row(each) if self.converted else each) for each in found]

    def _row(self, found: Sequence[Any]) -> list[Any]:
        row = list(found)
        for index, convert in self.converted:
            row[index] = convert(row[index])
        return row


@dataclass(frozen=True, slots=True)
class _Seen:
    """A statement that was run, and its forms by the names of its values; None: has none."""

    forms: dict[tuple[str, ...], _Form | None]


class UnstorableTextError(DataError, DontWrapMixin):
    """A text with U+0000, which neither database's list of texts can hold."""

    def __init__(self) -> None:
        super().__init__("", None, ValueError("a text holds U+0000"))


class _Texts(TypeDecorator[Sequence[str]]):
    """Any number of texts as one value: JSON for SQLite, an array for PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return what the database takes."""
        is_postgres = dialect.name == "postgresql"
        return dialect.type_descriptor(ARRAY(Text()) if is_postgres else Text())

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Return the value as the driver takes it.

        Raises:
            UnstorableTextError: SQLite's JSON would end the text there.
        """
        texts = list(value or ())
        if any("\0" in text for text in texts):
            raise UnstorableTextError
        return texts if dialect.name == "postgresql" else json.dumps(texts, ensure_ascii=False)


class _Among(ColumnElement[bool]):
    inherit_cache = False  # compiled once, by ``Statements``

    def __init__(self, column: ColumnElement[Any], texts: BindParameter[Any]) -> None:
        super().__init__()
        self.type = Boolean()
        self.column = column
        self.texts = texts

    def self_group(self, against: Any = None) -> Self:  # noqa: ANN401 - an operator
        """Return itself: a condition, not a value to be compared with 1, which no index knows."""
        del against
        return self


@compiles(_Among)
def _as_array(element: _Among, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401
    column, texts = (compiler.process(each, **how) for each in (element.column, element.texts))
    return f"{column} = ANY ({texts})"


@compiles(_Among, "sqlite")
def _as_json(element: _Among, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401
    column, texts = (compiler.process(each, **how) for each in (element.column, element.texts))
    return f"{column} IN (SELECT value FROM json_each({texts}))"  # noqa: S608 - made by the compiler


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return that a column is one of the texts given as ``name``: as many as there are.

    Unlike ``in_`` with its parameter for each text, this is the same statement for any number.
    """
    return _Among(column, bindparam(name, type_=_Texts()))


class Statements:
    """The forms of one database's statements. One per engine; threads share it."""

    def __init__(self, dialect: Dialect) -> None:
        assert dialect.dbapi is not None
        self._dialect, self._dbapi = dialect, dialect.dbapi
        self._seen: WeakKeyDictionary[Executable, _Seen] = WeakKeyDictionary()

    def run(self, connection: Connection, statement: Executable, values: Values) -> Rows:
        """Run a statement once."""
        form = self._form(statement, values)
        if form is None:
            return rows_of(connection.execute(statement, dict(values)))
        cursor = self._execute(connection, form, form.parameters(values), is_many=False)
        try:
            found = cursor.fetchall() if cursor.description else ()
            rowcount = cursor.rowcount
        except self._dbapi.Error as error:  # SQLite finds rows while they are fetched
            raise self._told(form, {}, error) from error
        finally:
            cursor.close()
        return Rows(form.keys, form.rows(found), rowcount)

    def run_each(
        self, connection: Connection, statement: Executable, many: Sequence[Values]
    ) -> None:
        """Run a statement once for each of many values; all have the names of the first."""
        form = self._form(statement, many[0])
        if form is None:
            connection.execute(statement, [dict(values) for values in many])
            return
        parameters = [form.parameters(values) for values in many]
        self._execute(connection, form, parameters, is_many=True).close()

    def _execute(
        self,
        connection: Connection,
        form: _Form,
        parameters: Any,  # noqa: ANN401 - of the driver, as what is returned
        *,
        is_many: bool,
    ) -> Any:  # noqa: ANN401
        events = connection.engine.dispatch
        cursor = connection.connection.cursor()
        for told in events.before_cursor_execute:
            told(connection, cursor, form.sql, parameters, None, is_many)
        try:
            if is_many:
                cursor.executemany(form.sql, parameters)
            else:
                cursor.execute(form.sql, parameters)
        except self._dbapi.Error as error:
            cursor.close()
            raise self._told(form, parameters, error) from error
        for told in events.after_cursor_execute:
            told(connection, cursor, form.sql, parameters, None, is_many)
        return cursor

    def _told(self, form: _Form, parameters: Any, error: Exception) -> BaseException:  # noqa: ANN401
        """Return a driver's error as SQLAlchemy's."""
        return DBAPIError.instance(
            form.sql, parameters, error, self._dbapi.Error, dialect=self._dialect
        )

    def _form(self, statement: Executable, values: Values) -> _Form | None:
        """Return the statement's short form; None at its first run, and if it has none."""
        seen = self._seen.get(statement)
        if seen is None:
            self._seen[statement] = _Seen({})
            return None
        names = tuple(values)
        try:
            return seen.forms[names]
        except KeyError:
            return seen.forms.setdefault(names, self._prepare(statement, names))

    def _prepare(self, statement: Executable, names: Sequence[str]) -> _Form | None:
        if not isinstance(statement, SelectBase | UpdateBase):
            return None
        compiled = statement.compile(dialect=self._dialect, column_keys=list(names))
        if not isinstance(compiled, SQLCompiler) or not _is_plain(compiled):
            return None
        dialect = self._dialect
        order = compiled.positiontup if compiled.positional else list(compiled.binds)
        binds = [(name, compiled.binds[name].type) for name in order or ()]
        columns = list(statement.exported_columns)
        keys = tuple(str(column.key) for column in columns)
        return _Form(
            sql=compiled.string,
            names=tuple(
                (name, type_.dialect_impl(dialect).bind_processor(dialect)) for name, type_ in binds
            ),
            constants={
                name: compiled.binds[name].value
                for name, _ in binds
                if not compiled.binds[name].required
            },
            is_positional=compiled.positional,
            make=_maker(keys),
            converted=tuple(
                (index, convert)
                for index, column in enumerate(columns)
                if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None))
            ),
            keys=keys,
        )


def _maker(keys: Sequence[str]) -> Callable[[Iterable[Any]], Any]:
    row: Any = namedtuple("Found", keys, rename=True)  # type: ignore[misc]  # noqa: PYI024 - names at run time
    made: Callable[[Iterable[Any]], Any] = row._make
    return made


def _is_plain(compiled: SQLCompiler) -> bool:
    """Whether the text of a statement never depends on values, nor a value on a default."""
    has_defaults = (compiled.isinsert or compiled.isupdate) and compiled.prefetch
    return not (compiled.post_compile_params or compiled.literal_execute_params or has_defaults)
