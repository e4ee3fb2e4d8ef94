"""Keep payouts and what the bank reports."""

import sqlalchemy as sa
from alembic import op

import databank.kit.db
from clearing.migrations.append_only import refuse_changes

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = (
    "clearing_payout",
    "clearing_payment",
    "clearing_payout_event",
    "clearing_bank_movement",
)
TIME = databank.kit.db.UtcTime(timezone=True)
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "clearing_payout",
        sa.Column("payout_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("drafted_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("payout_id"),
        sa.UniqueConstraint("number"),
    )
    op.create_table(
        "clearing_payment",
        sa.Column("end_to_end_id", sa.String(), nullable=False),
        sa.Column("payout_id", sa.String(), nullable=False),
        sa.Column("participant_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("earned", sa.BigInteger(), nullable=False),
        sa.Column("vat", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["payout_id"], ["clearing_payout.payout_id"]),
        sa.PrimaryKeyConstraint("end_to_end_id"),
    )
    op.create_index("ix_clearing_payment_payout_id", "clearing_payment", ["payout_id"])
    op.create_index("ix_clearing_payment_participant_id", "clearing_payment", ["participant_id"])
    op.create_table(
        "clearing_payout_event",
        sa.Column("payout_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("approval", sa.Text(), nullable=True),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["payout_id"], ["clearing_payout.payout_id"]),
        sa.PrimaryKeyConstraint("payout_id", "number"),
    )
    op.create_table(
        "clearing_bank_movement",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("is_credit", sa.Boolean(), nullable=False),
        sa.Column("amount", sa.String(), nullable=False),
        sa.Column("end_to_end_id", sa.String(), nullable=True),
        sa.Column("participant_id", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("remittance", sa.String(), nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_clearing_bank_movement_reference", "clearing_bank_movement", ["reference"])
    refuse_changes(TABLES)


def downgrade() -> None:
    for table in (
        "clearing_bank_movement",
        "clearing_payout_event",
        "clearing_payment",
        "clearing_payout",
    ):
        op.drop_table(table)
