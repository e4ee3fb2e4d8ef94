"""Keep what witnesses sign beside the log."""

import sqlalchemy as sa
from alembic import op

import databank.kit.db
from clearing.migrations.append_only import refuse_changes

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
    refuse_changes([TABLE])


def downgrade() -> None:
    op.drop_table(TABLE)
