"""Record the steps of a close."""

import sqlalchemy as sa
from alembic import op

import databank.kit.db

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = ("clearing_close", "clearing_close_step")


def upgrade() -> None:
    op.create_table(
        "clearing_close",
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", databank.kit.db.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("period", "number"),
    )
    op.create_table(
        "clearing_close_step",
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("done_at", databank.kit.db.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("period", "number", "step"),
    )
    for table in TABLES:
        refuse_changes(table)


def refuse_changes(table: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"""
            CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION clearing_refuse_change()
        """)
        return
    for action in ("UPDATE", "DELETE"):
        op.execute(f"""
            CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table}
            BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
        """)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
