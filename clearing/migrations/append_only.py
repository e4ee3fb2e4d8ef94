"""How a migration makes tables that are only ever added to."""

from collections.abc import Iterable

from alembic import op


def refuse_changes(tables: Iterable[str]) -> None:
    """Let the database refuse to change, delete or empty rows of these tables.

    PostgreSQL needs the function ``clearing_refuse_change`` for it, which the second migration
    makes. SQLite drops the triggers with their table.
    """
    is_postgres = op.get_bind().dialect.name == "postgresql"
    for table in tables:
        if is_postgres:
            op.execute(f"""
                CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION clearing_refuse_change()
            """)
            continue
        for action in ("UPDATE", "DELETE"):
            op.execute(f"""
                CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table}
                BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
            """)
