"""Keep what witnesses sign beside the log."""

import sqlalchemy as sa
from alembic import op

import databank.kit.db

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = "clearing_cosignature"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("witness", sa.String(), nullable=False),
        sa.Column("vkey", sa.String(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("cosigned_at", databank.kit.db.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", "witness"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"""
            CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE}
            FOR EACH STATEMENT EXECUTE FUNCTION clearing_refuse_change()
        """)
        return
    for action in ("UPDATE", "DELETE"):
        op.execute(f"""
            CREATE TRIGGER {TABLE}_no_{action.lower()} BEFORE {action} ON {TABLE}
            BEGIN SELECT RAISE(ABORT, '{TABLE} is append-only'); END
        """)


def downgrade() -> None:
    op.drop_table(TABLE)
