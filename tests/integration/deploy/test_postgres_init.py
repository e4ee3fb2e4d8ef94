"""The script that a new database container runs, against a real server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.support.postgres import PostgresServer

SCRIPT: Final = Path(__file__).parents[3] / "deploy" / "postgres-init.sh"
SERVICES: Final = ("broker", "catalog", "clearing")

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("postgres-init")]


def connect(server: PostgresServer, *, user: str, database: str) -> str:
    target = f"host={server.folder} user={user} dbname={database}"
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (x int)")
        row = connection.execute("SELECT current_user").fetchone()
    assert row
    return str(row[0])


def test_each_service_gets_a_database_that_no_other_may_enter(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    for service in SERVICES:
        (tmp_path / f"{service}-database-password").write_text(f"it's {service}", encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "PGHOST": str(postgres_server.folder),
        "POSTGRES_USER": "postgres",
        "SECRETS": str(tmp_path),
    }
    try:
        subprocess.run(["bash", str(SCRIPT)], env=environment, check=True, timeout=60)
        for service in SERVICES:
            assert connect(postgres_server, user=service, database=service) == service
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            connect(postgres_server, user="catalog", database="clearing")
    finally:
        for service in SERVICES:
            postgres_server.execute(f"DROP DATABASE IF EXISTS {service}")
            postgres_server.execute(f"DROP ROLE IF EXISTS {service}")
