from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, insert, select, text
from sqlmodel import SQLModel

from databank.kit.db import Database, IntegrityError, UnitOfWork
from databank.kit.store import forget_expired_tokens, remember_token
from schemas.ids import ParticipantId
from schemas.token import Claims

SERVICES = ("broker", "catalog", "clearing", "connector")
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
ALICE = ParticipantId("did:web:alice.example")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def migrated(database: Database) -> Database:
    create_tables(database)
    return database


def create_tables(database: Database) -> None:
    SQLModel.metadata.create_all(database.engine, tables=[SQLModel.metadata.tables["seen_token"]])


def claims(jti: str = "a" * 22, *, expires_at: datetime = NOON) -> Claims:
    return Claims(ALICE, jti, expires_at)


def use(database: Database, token: Claims) -> bool:
    with database.unit_of_work() as uow:
        return remember_token(uow, token)


@pytest.mark.parametrize("service", SERVICES)
def test_migrating_twice_is_migrating_once(database: Database, service: str) -> None:
    database.migrate(service)
    database.migrate(service)


def test_a_token_counts_once(migrated: Database) -> None:
    assert use(migrated, claims())
    assert not use(migrated, claims())
    assert use(migrated, claims("b" * 22))


def test_a_refused_token_leaves_the_transaction_usable(migrated: Database) -> None:
    use(migrated, claims())
    with migrated.unit_of_work() as uow:
        assert not remember_token(uow, claims())
        assert remember_token(uow, claims("b" * 22))
    assert not use(migrated, claims("b" * 22))


def test_of_eight_calls_at_once_with_one_token_one_counts(migrated: Database) -> None:
    start = threading.Barrier(8)

    def call() -> bool:
        start.wait(timeout=30)
        return use(migrated, claims())

    with ThreadPoolExecutor(8) as pool:
        accepted = [future.result(timeout=60) for future in [pool.submit(call) for _ in range(8)]]
    assert accepted.count(True) == 1


def test_a_token_is_forgotten_only_after_its_life(migrated: Database) -> None:
    use(migrated, claims())
    with migrated.unit_of_work() as uow:
        forget_expired_tokens(uow, NOON)
    assert not use(migrated, claims())
    with migrated.unit_of_work() as uow:
        forget_expired_tokens(uow, NOON + timedelta(seconds=1))
    assert use(migrated, claims())


def test_what_fails_is_rolled_back_and_nothing_follows_it(migrated: Database) -> None:
    followed: list[str] = []

    def fail() -> None:
        with migrated.unit_of_work() as uow:
            assert remember_token(uow, claims())
            uow.after_commit(lambda: followed.append("failed"))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert use(migrated, claims())
    assert followed == []


def test_what_follows_a_commit_sees_it(make_database_url: Callable[[], str]) -> None:
    database = Database(make_database_url())
    create_tables(database)
    seen: list[bool] = []
    with database.unit_of_work() as uow:
        remember_token(uow, claims())
        uow.after_commit(lambda: seen.append(use(database, claims())))
    assert seen == [False]
    database.close()


def test_of_several_actions_about_one_thing_only_the_last_follows(database: Database) -> None:
    """Who waits for a process must not see a state that only its transaction knew."""
    followed: list[str] = []
    with database.unit_of_work() as uow:
        for about, said in (
            ("a", "first"),
            ("b", "other"),
            ("a", "last"),
            (None, "1"),
            (None, "2"),
        ):
            uow.after_commit(lambda said=said: followed.append(said), about=about)  # type: ignore[misc]
    assert sorted(followed) == ["1", "2", "last", "other"]


def _durability(uow: UnitOfWork) -> str:
    name = "synchronous_commit" if uow.is_postgres else "synchronous"
    ask = text(f"SHOW {name}" if uow.is_postgres else f"PRAGMA {name}")
    return str(uow.run(ask).scalar_one())


def test_a_transaction_waits_for_the_disk_unless_it_says_otherwise(database_url: str) -> None:
    is_postgres = database_url.startswith("postgres")
    waits, does_not = ("on", "off") if is_postgres else ("2", "1")
    if is_postgres:  # the server of the tests waits for nothing
        mark = "&" if "?" in database_url else "?"
        database_url += f"{mark}options=-csynchronous_commit%3Don"
    database = Database(database_url)
    with database.unit_of_work() as uow:
        assert _durability(uow) == waits
    with database.unit_of_work(waits_for_disk=False) as uow:
        assert _durability(uow) == does_not
    with database.unit_of_work() as uow:
        assert _durability(uow) == waits
    database.close()


def test_what_fails_at_its_commit_is_rolled_back_too(
    database: Database, request: pytest.FixtureRequest
) -> None:
    """As on a full disk, where SQLite leaves the transaction open."""
    metadata = MetaData()
    parent = Table("test_parent", metadata, Column("id", Integer, primary_key=True))
    late = ForeignKey(parent.c.id, deferrable=True, initially="DEFERRED")
    child = Table("test_child", metadata, Column("id", Integer, late, primary_key=True))
    metadata.create_all(database.engine)
    request.addfinalizer(lambda: metadata.drop_all(database.engine))
    for _ in range(2):  # the second time on the connection of the first
        with pytest.raises(IntegrityError), database.unit_of_work() as uow:
            uow.run(insert(child), id=1)
    with database.unit_of_work() as uow:
        assert uow.run(select(child)).all() == []
