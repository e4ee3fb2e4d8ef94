"""Keep payments that came back, and what officers said of their fees."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import databank.kit.db
from clearing.migrations.append_only import refuse_changes

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = ("clearing_payment_return", "clearing_fee_decision")


def upgrade() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    time = databank.kit.db.UtcTime
    op.create_table(
        "clearing_payment_return",
        sa.Column("end_to_end_id", text(), nullable=False),
        sa.Column("reason", text(), nullable=False),
        sa.Column("returned_won", sa.BigInteger(), nullable=False),
        sa.Column("fee_won", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", time(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["end_to_end_id"], ["clearing_payment.end_to_end_id"]),
        sa.PrimaryKeyConstraint("end_to_end_id"),
    )
    op.create_table(
        "clearing_fee_decision",
        sa.Column("end_to_end_id", text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("officer", text(), nullable=False),
        sa.Column("bearer", text(), nullable=False),
        sa.Column("approval", sa.Text(), nullable=False),
        sa.Column("recorded_at", time(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["end_to_end_id"], ["clearing_payment_return.end_to_end_id"]),
        sa.PrimaryKeyConstraint("end_to_end_id", "number"),
    )
    refuse_changes(TABLES)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
