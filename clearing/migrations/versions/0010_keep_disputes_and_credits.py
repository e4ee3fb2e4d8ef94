"""Keep disputes, their moves, and what refunds took back."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import databank.kit.db
from clearing.migrations.append_only import refuse_changes

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = (
    "clearing_dispute",
    "clearing_dispute_move",
    "clearing_credit",
    "clearing_credit_stated",
)


def upgrade() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    time = databank.kit.db.UtcTime
    op.create_table(
        "clearing_dispute",
        sa.Column("dispute_id", text(), nullable=False),
        sa.Column("agreement_id", text(), nullable=False),
        sa.Column("provider_id", text(), nullable=False),
        sa.Column("consumer_id", text(), nullable=False),
        sa.Column("period", text(), nullable=False),
        sa.Column("reason", text(), nullable=False),
        sa.Column("claimed_won", sa.BigInteger(), nullable=False),
        sa.Column("difference_won", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", time(timezone=True), nullable=False),
        sa.Column("evidence_until", time(timezone=True), nullable=False),
        sa.Column("ends_at", time(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["clearing_agreement.agreement_id"]),
        sa.PrimaryKeyConstraint("dispute_id"),
    )
    with op.batch_alter_table("clearing_dispute", schema=None) as batch_op:
        for column in ("agreement_id", "provider_id", "consumer_id"):
            batch_op.create_index(
                batch_op.f(f"ix_clearing_dispute_{column}"), [column], unique=False
            )
    op.create_table(
        "clearing_dispute_move",
        sa.Column("dispute_id", text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("is_end", sa.Boolean(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.Column("recorded_at", time(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["dispute_id"], ["clearing_dispute.dispute_id"]),
        sa.PrimaryKeyConstraint("dispute_id", "number"),
    )
    _make_credits()
    refuse_changes(TABLES)


def _make_credits() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    op.create_table(
        "clearing_credit",
        sa.Column("dispute_id", text(), nullable=False),
        sa.Column("period", text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("agreement_id", text(), nullable=False),
        sa.Column("entry_id", text(), nullable=False),
        sa.Column("issue_period", text(), nullable=False),
        sa.Column("decided_on", sa.Date(), nullable=False),
        sa.Column("before_won", sa.BigInteger(), nullable=False),
        sa.Column("supply_won", sa.BigInteger(), nullable=False),
        sa.Column("vat_won", sa.BigInteger(), nullable=False),
        sa.Column("fee_won", sa.BigInteger(), nullable=False),
        sa.Column("fee_vat_won", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["dispute_id"], ["clearing_dispute.dispute_id"]),
        sa.PrimaryKeyConstraint("dispute_id", "period", "line"),
    )
    with op.batch_alter_table("clearing_credit", schema=None) as batch_op:
        for column in ("agreement_id", "entry_id", "issue_period"):
            batch_op.create_index(
                batch_op.f(f"ix_clearing_credit_{column}"), [column], unique=False
            )
    op.create_table(
        "clearing_credit_stated",
        sa.Column("dispute_id", text(), nullable=False),
        sa.Column("period", text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("dispute_id", "period", "line"),
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
