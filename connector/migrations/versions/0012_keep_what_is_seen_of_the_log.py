"""keep what is seen of the log."""

import sqlalchemy as sa
from alembic import op

import databank.kit.db

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "connector_witnessed_log",
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("cosigned_at", databank.kit.db.UtcTime(timezone=True), nullable=False),
        sa.Column("contradicted_note", sa.Text(), nullable=True),
        sa.Column("contradicting_note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("origin"),
    )


def downgrade() -> None:
    op.drop_table("connector_witnessed_log")
