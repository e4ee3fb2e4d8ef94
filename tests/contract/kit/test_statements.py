"""A statement that comes again means what it meant at first, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, StatementError
from sqlmodel import SQLModel, col

from databank.kit.db import Database, DataError, IntegrityError, UtcTime
from databank.kit.statements import among
from databank.kit.store import SeenTokenRow

SEOUL: Final = timezone(timedelta(hours=9))
NOON: Final = datetime(2026, 11, 1, 12, 0, 0, 7, tzinfo=SEOUL)


THING: Final[Any] = Table(
    "test_thing",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("is_good", Boolean, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("said", JSON),
)
VALUES: Final[dict[str, Any]] = {
    "count": 2**30,
    "is_good": True,
    "at": NOON,
    "said": {"말": [1, None]},
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    THING.create(opened.engine)
    yield opened
    THING.drop(opened.engine)
    opened.close()


def test_rows_are_the_same_each_time(database: Database) -> None:
    add, get = insert(THING), select(THING).where(THING.c.id == bindparam("key")).limit(1)
    with database.unit_of_work() as uow:
        for name in "abc":
            uow.run(add, id=name, **VALUES)
    for _ in range(3):
        with database.unit_of_work() as uow:
            found = uow.run(get, key="c")
        row = found.one()
        assert (row.id, row.count, row.is_good, row.said) == ("c", 2**30, True, {"말": [1, None]})
        assert row.at == NOON
        assert row.at.tzinfo is UTC
        assert found.mappings() == [{"id": "c", **VALUES}]
        assert found.mapping_or_none() == {"id": "c", **VALUES}


def test_what_was_written_and_returned_is_told_each_time(database: Database) -> None:
    add = insert(THING).returning(THING.c.count, THING.c.at)
    change = update(THING).where(THING.c.id == bindparam("key"))
    with database.unit_of_work() as uow:
        for name in "abc":
            assert tuple(uow.run(add, id=name, **VALUES).one()) == (2**30, NOON)
        for key, written in (("a", 1), ("b", 1), ("none", 0)):
            assert uow.run(change, key=key, count=1).rowcount == written
        for _ in range(3):
            uow.run_each(change, [{"key": "a", "said": None}, {"key": "b", "said": {}}])
        goods = [uow.run(select(func.sum(THING.c.count))).scalar_one() for _ in range(2)]
        assert goods == [2**30 + 2] * 2


def test_a_column_is_among_any_number_of_texts(database: Database) -> None:
    names = ["a", "쉼표,", 'quote"', "back\\slash", "{b}"]
    add, get = (
        insert(THING),
        select(THING.c.id).where(among(THING.c.id, "ids")).order_by(THING.c.id),
    )
    with database.unit_of_work() as uow:
        uow.run_each(add, [{"id": name, **VALUES} for name in names])
        for some in ([], names[:1], names, [*names, "other"] * 700):
            assert set(uow.run(get, ids=some).scalars()) == set(some) & set(names)


def test_a_text_that_no_list_holds_is_refused_each_time(database: Database) -> None:
    get = select(THING.c.id).where(among(THING.c.id, "ids"))
    for _ in range(3):
        with pytest.raises(DataError), database.unit_of_work() as uow:
            uow.run(get, ids=["a", "a\0"])


def test_among_uses_the_index_of_sqlite(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/things.db")
    THING.create(database.engine)
    get = select(THING.c.id).where(among(THING.c.id, "ids"))
    with database.unit_of_work() as uow:
        uow.run(get, ids=[])
        sql = str(get.compile(database.engine))
        plan = uow.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", ("[]",))
        assert "SEARCH test_thing" in str(plan.all())
    database.close()


def test_an_error_is_the_same_each_time(database: Database) -> None:
    add = insert(THING)
    with database.unit_of_work() as uow:
        uow.run(add, id="a", **VALUES)
    for _ in range(3):
        with pytest.raises(IntegrityError), database.unit_of_work() as uow:
            uow.run(add, id="a", **VALUES)


def test_an_error_while_rows_are_fetched_is_the_same_each_time(database: Database) -> None:
    quotient = select(100 // THING.c.count).order_by(THING.c.id)
    if not database.url.startswith("postgres"):  # where a quotient by zero is NULL
        quotient = select(func.abs(THING.c.count - 2**62 - 2**62)).order_by(THING.c.id)
    with database.unit_of_work() as uow:
        for name, count in (("a", 1), ("b", 0)):
            uow.run(insert(THING), id=name, **VALUES | {"count": count})
    for _ in range(3):
        with pytest.raises(DBAPIError), database.unit_of_work() as uow:
            uow.run(quotient)


def test_a_value_that_is_missing_is_an_error_each_time(database: Database) -> None:
    get, add = select(THING.c.id).where(THING.c.id == bindparam("key")), insert(THING)
    with database.unit_of_work() as uow:
        uow.run(get, key="a")
        for _ in range(3):
            with pytest.raises(StatementError):
                uow.run(get)
        for number in range(3):
            rows = [{"id": f"{number}{each}", **VALUES} for each in range(2)]
            del rows[1]["said"]
            with pytest.raises(StatementError):
                uow.run_each(add, rows)


def test_listeners_are_told_each_time(database: Database) -> None:
    get, told = select(THING.c.id), []
    event.listen(database.engine, "before_cursor_execute", lambda *_: told.append("before"))
    event.listen(database.engine, "after_cursor_execute", lambda *_: told.append("after"))
    counts = []
    for _ in range(3):
        with database.unit_of_work() as uow:
            uow.run(get)
        counts.append((told.count("before"), told.count("after")))
        told.clear()
    assert counts[0] == counts[1] == counts[2]


def test_what_the_orm_has_not_written_yet_is_seen(database: Database) -> None:
    SQLModel.metadata.create_all(database.engine, tables=[SeenTokenRow.__table__])  # type: ignore[attr-defined]
    get = select(col(SeenTokenRow.jti))
    for number in range(3):
        with database.unit_of_work() as uow:
            uow.session.add(SeenTokenRow(issuer="a", jti=str(number), expires_at=NOON))
            assert len(uow.run(get).all()) == number + 1
