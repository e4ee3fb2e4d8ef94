from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from databank.kit.db import Database

SERVICES = ("broker", "catalog", "clearing", "connector")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_make_exactly_the_tables_of_the_code(database: Database, service: str) -> None:
    import_module(f"{service}.tables")

    def is_ours(_: object, name: str | None, kind: str, *__: object) -> bool:
        return kind != "table" or name == "seen_token" or str(name).startswith(f"{service}_")

    database.migrate(service)
    options = {"include_object": is_ours, "compare_type": True}
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, SQLModel.metadata)
    version = f"{service}_version"
    assert [d for d in differences if not (d[0] == "remove_table" and d[1].name == version)] == []
