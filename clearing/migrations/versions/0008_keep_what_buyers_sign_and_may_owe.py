"""Keep what buyers sign of what they received, and the credit that they have."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import databank.kit.db
from clearing.migrations.append_only import refuse_changes


revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = ("clearing_ack_batch", "clearing_ack_agreement")  # signed: kept as they came


def upgrade() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    op.create_table(
        "clearing_ack_stream",
        sa.Column("consumer_id", text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_body_sha256", text(), nullable=False),
        sa.PrimaryKeyConstraint("consumer_id", "epoch"),
    )
    op.create_table(
        "clearing_ack_batch",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("consumer_id", text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("records_count", sa.Integer(), nullable=False),
        sa.Column("body_sha256", text(), nullable=False),
        sa.Column("header", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("contradicts", sa.BigInteger(), nullable=True),
        sa.Column("received_at", databank.kit.db.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("clearing_ack_batch", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_clearing_ack_batch_consumer_id"), ["consumer_id"], unique=False
        )
    op.create_table(
        "clearing_ack_agreement",
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("agreement_id", text(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "agreement_id"),
    )
    with op.batch_alter_table("clearing_ack_agreement", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_clearing_ack_agreement_agreement_id"), ["agreement_id"], unique=False
        )
    refuse_changes(TABLES)
    op.create_table(
        "clearing_credit_line",
        sa.Column("participant_id", text(), nullable=False),
        sa.Column("limit_micro", sa.BigInteger(), nullable=False),
        sa.Column("term_days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("participant_id"),
    )
    op.create_table(
        "clearing_credit_grant",
        sa.Column("grant_id", text(), nullable=False),
        sa.Column("participant_id", text(), nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", databank.kit.db.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("grant_id"),
    )
    with op.batch_alter_table("clearing_credit_grant", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_clearing_credit_grant_participant_id"), ["participant_id"], unique=False
        )


def downgrade() -> None:
    op.drop_table("clearing_credit_grant")
    op.drop_table("clearing_credit_line")
    op.drop_table("clearing_ack_agreement")
    op.drop_table("clearing_ack_batch")
    op.drop_table("clearing_ack_stream")
