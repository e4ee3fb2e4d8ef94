"""Record the steps of a close."""

import sqlalchemy as sa
from alembic import op

import databank.kit.db
from clearing.migrations.append_only import refuse_changes

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
    refuse_changes(TABLES)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
