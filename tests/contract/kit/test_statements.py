"""A statement that comes again means what it meant at first, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import JSON, Column, bindparam, event, func, insert, select, update
from sqlmodel import Field, SQLModel

from databank.kit.db import AddTo, Database, DataError, IntegrityError, UtcTime
from databank.kit.statements import among

SEOUL: Final = timezone(timedelta(hours=9))
NOON: Final = datetime(2026, 11, 1, 12, 0, 0, 7, tzinfo=SEOUL)


class KitThingRow(SQLModel, table=True):
    """One row with a value of each kind that needs a conversion."""

    __tablename__ = "test_thing"
    id: str = Field(primary_key=True)
    count: int
    is_good: bool
    at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    said: dict[str, Any] | None = Field(sa_column=Column(JSON))


THING: Final[Any] = KitThingRow.__table__  # type: ignore[attr-defined]  # SQLModel adds it
VALUES: Final[dict[str, Any]] = {
    "count": 2**30,
    "is_good": True,
    "at": NOON,
    "said": {"말": [1, None]},
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    SQLModel.metadata.create_all(opened.engine, tables=[THING])
    yield opened
    SQLModel.metadata.drop_all(opened.engine, tables=[THING])
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
    SQLModel.metadata.create_all(database.engine, tables=[THING])
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
    get = select(THING.c.id)
    for number in range(3):
        with database.unit_of_work() as uow:
            uow.session.add(KitThingRow(id=str(number), **VALUES))
            assert len(uow.run(get).all()) == number + 1


def test_numbers_are_added_to_the_row_that_is_there(database: Database) -> None:
    add = AddTo(KitThingRow, ["count"])
    for times in range(1, 4):
        with database.unit_of_work() as uow:
            add.run_each(uow, [{"id": "a", **VALUES, "count": 5}])
            assert uow.run(select(THING.c.count)).scalar_one() == 5 * times
