"""Databases: SQLite by default, PostgreSQL by URL; one request is one transaction.

A ``UnitOfWork`` is the only thing that commits. Stores take it and flush at most. What
must happen after a commit, such as waking a dispatcher, is registered with ``after_commit``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import alembic.command
import alembic.config
from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Executable,
    Integer,
    create_engine,
    event,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError as SqlDataError
from sqlalchemy.exc import IntegrityError as SqlIntegrityError
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session, SQLModel

from databank.kit.statements import Rows, Statements

SQLITE_BUSY_MILLISECONDS: Final = 30_000  # a crowd of writers takes turns
WAITS: Final = "waits_for_disk"  # in what the pool knows of a SQLite connection
MIGRATION_LOCK: Final = 7_301_904  # an arbitrary key for pg_advisory_lock
SERIAL: Final = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts INTEGER only
DataError = SqlDataError  # a value that the database cannot hold, such as U+0000
IntegrityError = SqlIntegrityError  # what services may catch without importing SQLAlchemy
_MIGRATING: Final = threading.Lock()  # alembic keeps its context in module globals


class UnitOfWork:
    """One transaction: ``session`` or ``run`` for stores, ``after_commit`` for what follows it.

    It begins with the first statement, and the ORM's session is made where it is asked for.
    ``kept`` is for stores: rows that they have locked, which only this transaction can change.
    """

    def __init__(
        self, engine: Engine, statements: Statements, *, waits_for_disk: bool = True
    ) -> None:
        self._engine = engine
        self._statements = statements
        self._waits = waits_for_disk
        self.kept: dict[object, Any] = {}
        self._after: dict[object, Callable[[], None]] = {}
        self._connection: Connection | None = None
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The ORM, inside this transaction."""
        if self._session is None:
            self._session = Session(self._begun(), expire_on_commit=False)
        return self._session

    def after_commit(self, action: Callable[[], None], *, about: object = None) -> None:
        """Run ``action`` once the transaction is durable; never if it rolls back.

        Of several actions ``about`` the same thing only the last is run.
        """
        self._after[object() if about is None else about] = action

    def run(self, statement: Executable, **values: Any) -> Rows:  # noqa: ANN401
        """Run a statement beside the ORM, which costs many times as much: for hot paths.

        The statement should be built once. Rows come back as columns; the ORM does not see
        what is changed, so a table belongs to one way or the other.
        """
        self._flush()
        return self._statements.run(self._begun(), statement, values)

    def run_each(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each row of values; all of them have the same names."""
        if rows:
            self._flush()
            self._statements.run_each(self._begun(), statement, rows)

    def _flush(self) -> None:
        """Write what the ORM has not written yet, so that statements beside it see it."""
        if self._session is not None:
            self._session.flush()

    @property
    def is_postgres(self) -> bool:
        """Whether the database is PostgreSQL."""
        return self._engine.dialect.name == "postgresql"

    def _begun(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
            if not self.is_postgres:
                self._set_sqlite_waits(self._connection)
            self._connection.begin()
            if not self._waits and self.is_postgres:
                self._connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
        return self._connection

    def _set_sqlite_waits(self, connection: Connection) -> None:
        """Say whether commits on this connection wait; not possible in a transaction."""
        if connection.info.get(WAITS, True) is self._waits:
            return
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.execute(f"PRAGMA synchronous={'FULL' if self._waits else 'NORMAL'}")
        connection.info[WAITS] = self._waits

    def _commit(self) -> None:
        if self._session is not None:
            self._session.commit()  # writes what is left to write; the connection commits
        if self._connection is not None:
            self._connection.commit()

    def _close(self) -> None:
        """Give everything back; what was not committed is rolled back."""
        if self._session is not None:
            self._session.close()
        if self._connection is not None:
            self._connection.close()


def table_of(row: type[SQLModel]) -> Any:  # noqa: ANN401 - SQLModel hides the table's type
    """Return a row class's table, for statements below the ORM."""
    return row.__table__  # type: ignore[attr-defined]  # SQLModel adds it


class _ByDialect:
    """A statement that the databases write differently, built once for each."""

    def __init__(self, build: Callable[[Any], Executable]) -> None:
        self._statements = {
            dialect.dialect.name: build(dialect) for dialect in (postgresql, sqlite)
        }

    def run(self, uow: UnitOfWork, **values: Any) -> bool:  # noqa: ANN401 - of columns
        """Run it; return whether a row was written."""
        return uow.run(self._of(uow), **values).rowcount == 1

    def run_each(self, uow: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each row of values."""
        uow.run_each(self._of(uow), rows)

    def _of(self, uow: UnitOfWork) -> Executable:
        return self._statements["postgresql" if uow.is_postgres else "sqlite"]


class InsertNew(_ByDialect):
    """Inserts a row unless one stands there already, without harm to the transaction."""

    def __init__(self, table: type[SQLModel]) -> None:
        super().__init__(
            lambda dialect: (
                dialect.insert(table)
                .on_conflict_do_nothing()
                .execution_options(preserve_rowcount=True)
            )
        )


class Put(_ByDialect):
    """Inserts a row, or writes it over the one with the same key."""

    def __init__(self, table: type[SQLModel]) -> None:
        columns = table_of(table).c
        keys = [column.name for column in columns if column.primary_key]

        def build(dialect: Any) -> Executable:  # noqa: ANN401 - a module
            statement = dialect.insert(table)
            written = {c.name: statement.excluded[c.name] for c in columns if not c.primary_key}
            made: Executable = statement.on_conflict_do_update(index_elements=keys, set_=written)
            return made

        super().__init__(build)


class AddTo(_ByDialect):
    """Inserts a row, or adds the numbers in ``added`` to those of the row with the same key."""

    def __init__(self, table: type[SQLModel], added: Iterable[str]) -> None:
        columns = table_of(table).c
        keys = [column.name for column in columns if column.primary_key]

        def build(dialect: Any) -> Executable:  # noqa: ANN401 - a module
            statement = dialect.insert(table)
            sums = {name: columns[name] + statement.excluded[name] for name in added}
            made: Executable = statement.on_conflict_do_update(index_elements=keys, set_=sums)
            return made

        super().__init__(build)


class Database:
    """A service's database."""

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        self.url = url
        self.engine = _create_engine(url)
        self._statements = Statements(self.engine.dialect)
        self._turn = threading.Lock() if url.startswith("sqlite") else None

    @contextmanager
    def unit_of_work(self, *, waits_for_disk: bool = True) -> Iterator[UnitOfWork]:
        """Open a transaction; commit at the end, roll back on any exception.

        One that does not wait for the disk gets there with the next that does, in their order. A
        power cut before undoes it as a whole: for what is only done again then, to the same end.
        """
        with self._waited_for_turn():
            uow = UnitOfWork(self.engine, self._statements, waits_for_disk=waits_for_disk)
            try:
                yield uow
                uow._commit()  # noqa: SLF001 - nobody else may
            finally:
                uow._close()  # noqa: SLF001
        for action in uow._after.values():  # noqa: SLF001 - the same module's own queue
            action()

    @contextmanager
    def _waited_for_turn(self) -> Iterator[None]:
        """Let this process's threads into SQLite one by one: its own way to wait is to sleep."""
        if self._turn is None:
            yield
            return
        has_turn = self._turn.acquire(timeout=SQLITE_BUSY_MILLISECONDS / 1000)
        try:
            yield  # without its turn, a thread gets what SQLite says
        finally:
            if has_turn:
                self._turn.release()

    def migrate(self, package: str) -> None:
        """Bring the tables of the service ``package`` to their newest form."""
        with _MIGRATING, self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
                connection.commit()
            alembic.command.upgrade(migration_config(package, connection), "head")
            connection.commit()
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
                connection.commit()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _create_engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": SQLITE_BUSY_MILLISECONDS / 1000},
        pool_reset_on_return=None,  # done below, where there is something to undo
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: object) -> None:  # noqa: ANN401 - a DBAPI connection
        connection.isolation_level = None  # the BEGIN below is the only one
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MILLISECONDS}")
        cursor.close()

    @event.listens_for(engine, "reset")
    def _on_reset(connection: Any, *_: object) -> None:  # noqa: ANN401
        if connection.in_transaction:  # its commit has failed, such as on a full disk
            connection.rollback()

    def begin(dbapi_connection: Any) -> None:  # noqa: ANN401 - deferred BEGIN deadlocks writers
        dbapi_connection.dbapi_connection.execute("BEGIN IMMEDIATE").close()

    engine.dialect.do_begin = begin  # type: ignore[method-assign]  # errors become SQLAlchemy's
    return engine


def migration_config(package: str, connection: object = None) -> alembic.config.Config:
    """Return the alembic configuration of a service.

    A service's tables begin with its package's name and are all imported by
    ``<package>.tables``; ``seen_token`` of the kit is in every service's database.
    """
    import_module(f"{package}.tables")
    config = alembic.config.Config()
    folder = Path(str(import_module(package).__file__)).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["package"] = package
    return config


def run_migrations(config: alembic.config.Config) -> None:
    """Do what a service's ``migrations/env.py`` is for; alembic calls it."""
    package = config.attributes["package"]

    def is_ours(thing: object, name: str | None, kind: str, *_: object) -> bool:
        del thing
        return kind != "table" or name == "seen_token" or str(name).startswith(f"{package}_")

    alembic.context.configure(
        connection=config.attributes["connection"],
        target_metadata=SQLModel.metadata,
        include_object=is_ours,
        version_table=f"{package}_version",
        render_as_batch=True,
        compare_type=True,
    )
    with alembic.context.begin_transaction():
        alembic.context.run_migrations()


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; SQLite stores what PostgreSQL would."""
        if value is None:
            return None
        assert value.tzinfo is not None, "a stored time is aware"
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time aware."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
