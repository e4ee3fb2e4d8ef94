"""usage by month, for plans that count by the month; what is spent and received."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import databank.kit.db


revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "connector_usage_month",
        sa.Column("agreement_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("month", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("acts", sa.BigInteger(), nullable=False),
        sa.Column("queries", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agreement_id", "month"),
    )
    op.create_table(
        "connector_spending_limit",
        sa.Column("agreement_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("limit_micro", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("agreement_id"),
    )
    op.create_table(
        "connector_spent",
        sa.Column("agreement_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("act_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("month", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.Column("is_settled", sa.Boolean(), nullable=False),
        sa.Column("sent_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("agreement_id", "act_id"),
    )
    _add_received()


def _add_received() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    op.create_table(
        "connector_acknowledgement",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("act_id", text(), nullable=False),
        sa.Column("act", text(), nullable=False),
        sa.Column("agreement_id", text(), nullable=False),
        sa.Column("process_id", text(), nullable=False),
        sa.Column("consumer_id", text(), nullable=False),
        sa.Column("dataset_id", text(), nullable=False),
        sa.Column("rows_count", sa.BigInteger(), nullable=False),
        sa.Column("bytes_count", sa.BigInteger(), nullable=False),
        sa.Column("queries_count", sa.Integer(), nullable=False),
        sa.Column("result_sha256", text(), nullable=False),
        sa.Column("occurred_at", databank.kit.db.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("agreement_id", "act_id"),
    )
    with op.batch_alter_table("connector_acknowledgement", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_connector_acknowledgement_agreement_id"), ["agreement_id"], unique=False
        )
    op.create_table(
        "connector_acknowledgement_stream",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column("acked_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_body_sha256", text(), nullable=False),
        sa.Column("sealed_seq", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("connector_acknowledgement_stream")
    op.drop_table("connector_acknowledgement")
    op.drop_table("connector_spent")
    op.drop_table("connector_spending_limit")
    op.drop_table("connector_usage_month")
