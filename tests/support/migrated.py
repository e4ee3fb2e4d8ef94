"""Databases that begin with their tables: migrating takes longer than most tests."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import psycopg
from sqlalchemy.engine import make_url

from databank.kit.db import Database

SQLITE: Final = "sqlite:///"


def with_tables(service: str, url: str) -> str:
    """Give an empty database the tables of ``service``, as its migrations make them.

    Args:
        service: The package, such as ``clearing``.
        url: Of a SQLite file, or of a PostgreSQL database that nobody is connected to.

    Returns:
        ``url``; a database that has tables already stays as it is.
    """
    if not url.startswith(SQLITE):
        _copy_database(service, url)
    elif not (path := Path(url.removeprefix(SQLITE))).exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_file(service))
    return url


@cache
def _file(service: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        _migrate(service, f"{SQLITE}{folder}/empty.db")
        return (Path(folder) / "empty.db").read_bytes()


def _copy_database(service: str, url: str) -> None:
    name, server = _split(url)
    with psycopg.connect(f"{server} dbname={name}") as connection:
        found = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
    if found == (None,):
        template = _template(service, url, server)
        with psycopg.connect(f"{server} dbname=postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name}".encode())
            copy = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"
            connection.execute(copy.encode())


def _template(service: str, url: str, server: str) -> str:
    """Return the server's database to copy; a test's child process finds that of its parent."""
    name = f"tables_of_{service}"
    with psycopg.connect(f"{server} dbname=postgres", autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if found.fetchone() is not None:
            return name
        connection.execute(f"CREATE DATABASE {name}".encode())
    _migrate(service, make_url(url).set(database=name).render_as_string(hide_password=False))
    return name


def _split(url: str) -> tuple[str, str]:
    parts = make_url(url)
    return str(parts.database), f"host={parts.query['host']} user={parts.username}"


def _migrate(service: str, url: str) -> None:
    database = Database(url)
    database.migrate(service)
    database.close()
