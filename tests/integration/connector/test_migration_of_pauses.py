"""Transfer processes that were suspended or resumed before both sides' pauses were stored."""

from __future__ import annotations

from datetime import UTC, datetime

import alembic.command
from sqlalchemy import text

from connector.side import Side
from connector.transfer import store as transfers
from connector.transfer.model import TransferProcess
from databank.kit.db import Database, migration_config
from schemas.ids import ProcessId

CHANGED = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
COLUMNS = (
    "pid, side, consumer_pid, provider_pid, counterparty_id, peer_url, agreement_id, format, "
    "state, updated_at, suspended_by"
)
BEFORE = {
    "resumed": ("STARTED", "consumer"),
    "started": ("STARTED", None),
    "paused": ("SUSPENDED", "provider"),
}


def migrate(database: Database, revision: str, *, is_up: bool) -> None:
    change = alembic.command.upgrade if is_up else alembic.command.downgrade
    with database.engine.connect() as connection:
        change(migration_config("connector", connection), revision)
        connection.commit()


def put(database: Database, name: str) -> None:
    is_naive = not database.url.startswith("postgresql")
    values = {
        "name": name,
        "at": CHANGED.replace(tzinfo=None) if is_naive else CHANGED,
        "state": BEFORE[name][0],
        "by": BEFORE[name][1],
    }
    with database.engine.begin() as connection:
        connection.execute(
            text(
                f"INSERT INTO connector_transfer ({COLUMNS}) VALUES "
                "(:name, 'consumer', :name, 'p', 'c', 'u', 'a', 'f', :state, :at, :by)"
            ),
            values,
        )


def stored(database: Database, name: str) -> tuple[str, str | None]:
    query = "SELECT state, suspended_by FROM connector_transfer WHERE pid = :name"
    with database.engine.connect() as connection:
        [row] = connection.execute(text(query), {"name": name}).all()
    return row.state, row.suspended_by


def test_who_resumed_still_waits_for_its_address(database_url: str) -> None:
    database = Database(database_url)
    migrate(database, "0007", is_up=True)
    for name in BEFORE:
        put(database, name)
    database.migrate("connector")
    found: dict[str, TransferProcess] = {}
    with database.unit_of_work() as uow:
        for name in BEFORE:
            process = transfers.get(uow, ProcessId(name))
            assert process is not None
            found[name] = process
    assert {name: process.is_address_awaited for name, process in found.items()} == {
        "resumed": True,
        "started": False,
        "paused": False,
    }
    assert [found[name].suspended_by for name in BEFORE] == [set(), set(), {Side.PROVIDER}]
    migrate(database, "0007", is_up=False)
    assert {name: stored(database, name) for name in BEFORE} == BEFORE
    database.close()
