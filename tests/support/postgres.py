"""A PostgreSQL server of the tests' own, and an empty database for each test.

Each xdist worker starts one server in a temporary folder. It listens on a Unix socket in that
folder only, so no port is taken and nothing else on the machine can meet it. ``fsync`` is off:
durability is tested where processes are killed, not here. Benchmarks start one that is durable.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.support.needs import missing

INSTALL: Final = "tools/install-postgres"
START_SECONDS_MAX: Final = 60
CONNECTIONS_MAX: Final = 200
SERVER_OPTIONS: Final = (
    f"-c listen_addresses='' -c shared_buffers=32MB -c max_connections={CONNECTIONS_MAX}"
)
UNSAFE_OPTIONS: Final = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server; ``folder`` holds its socket."""

    folder: Path

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def execute(self, statement: str) -> None:
        """Run a statement that stands outside any transaction."""
        target = f"host={self.folder} user=postgres dbname=postgres"
        with psycopg.connect(target, autocommit=True) as connection:
            connection.execute(statement.encode())


def find_programs() -> Path | None:
    """Return the folder of the newest server's programs, where Debian puts them."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in found), key=_major, default=None)


def _major(folder: Path) -> int:
    return int(folder.parent.name)


def _unprivileged() -> list[str]:
    """Return the prefix of commands: PostgreSQL refuses to run as root."""
    return [] if os.geteuid() else ["runuser", "-u", "postgres", "--"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server for this session and remove it afterwards."""
    with run_server(is_durable=False) as server:
        yield server


@contextmanager
def run_server(*, is_durable: bool, parent: Path | None = None) -> Iterator[PostgresServer]:
    """Run a server in a folder of its own, in ``parent`` or among the temporary files."""
    programs = find_programs()
    if programs is None:
        missing("a PostgreSQL server", install=INSTALL)
    with tempfile.TemporaryDirectory(prefix="databank-pg-", dir=parent) as name:
        folder = Path(name)
        if not os.geteuid():
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        data, log = folder / "data", folder / "log"
        as_user = _unprivileged()
        control = [*as_user, str(programs / "pg_ctl"), "--pgdata", str(data), "--wait"]
        _run([*as_user, str(programs / "initdb"), "--pgdata", str(data), *_INITDB_OPTIONS], folder)
        options = f"{SERVER_OPTIONS} -c unix_socket_directories='{folder}'"
        if not is_durable:
            options += f" {UNSAFE_OPTIONS}"
        start = [*control, "--log", str(log), "--timeout", str(START_SECONDS_MAX)]
        _run([*start, "--options", options, "start"], folder)
        try:
            yield PostgresServer(folder)
        finally:
            _run([*control, "--mode", "immediate", "stop"], folder)
            shutil.rmtree(data, ignore_errors=True)


_INITDB_OPTIONS: Final = (
    *("--username", "postgres", "--auth", "trust", "--encoding", "UTF8"),
    *("--locale", "C.UTF-8", "--no-sync"),
)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2 * START_SECONDS_MAX,
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}"


_numbers = count(1)


@pytest.fixture
def make_postgres_url(postgres_server: PostgresServer) -> Iterator[Callable[[], str]]:
    """Return a maker of URLs of empty databases, which are dropped after the test."""
    names: list[str] = []

    def make() -> str:
        name = f"test_{next(_numbers)}"
        postgres_server.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        names.append(name)
        return postgres_server.url(name)

    yield make
    for name in names:
        postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


BACKENDS: Final = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


@pytest.fixture(params=BACKENDS)
def make_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return a maker of URLs of empty databases; the test runs once per kind of database."""
    if request.param == "postgresql":
        maker: Callable[[], str] = request.getfixturevalue("make_postgres_url")
        return maker
    numbers = count(1)
    return lambda: f"sqlite:///{tmp_path / f'test-{next(numbers)}.db'}"


@pytest.fixture
def database_url(make_database_url: Callable[[], str]) -> str:
    """Return the URL of an empty database; the test runs once per kind of database."""
    return make_database_url()
