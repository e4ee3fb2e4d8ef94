"""Write a migration from the difference between a service's tables and its migrations.

Usage: python tools/make_migration.py SERVICE MESSAGE
"""

import sys
import tempfile
from pathlib import Path

import alembic.command

from databank.kit.db import Database, migration_config


def main(package: str, message: str) -> None:
    """Upgrade an empty database, compare it with the tables, write what is missing."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'empty.db'}")
        database.migrate(package)
        number = len(list(Path(package, "migrations", "versions").glob("*.py"))) + 1
        with database.engine.connect() as connection:
            config = migration_config(package, connection)
            alembic.command.revision(
                config, message=message, autogenerate=True, rev_id=f"{number:04d}"
            )
        database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
