"""Keep split plans, what agreements ask for, income reports and royalty lines."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import databank.kit.db
from clearing.migrations.append_only import refuse_changes


revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = (
    "clearing_split_plan",
    "clearing_split_party",
    "clearing_royalty_demand",
    "clearing_income_report",
    "clearing_royalty_line",
)


def upgrade() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    time = databank.kit.db.UtcTime(timezone=True)
    op.create_table(
        "clearing_split_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "clearing_split_plan",
        sa.Column("plan_sha256", text(), nullable=False),
        sa.Column("curator_id", text(), nullable=False),
        sa.Column("product_id", text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("from_period", text(), nullable=False),
        sa.Column("request_id", text(), nullable=False),
        sa.Column("request_sha256", text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.Column("registered_at", time, nullable=False),
        sa.PrimaryKeyConstraint("plan_sha256"),
        sa.UniqueConstraint(
            "curator_id", "product_id", "number", name="clearing_split_plan_number"
        ),
        sa.UniqueConstraint("curator_id", "request_id", name="clearing_split_plan_request"),
    )
    op.create_index("ix_clearing_split_plan_from_period", "clearing_split_plan", ["from_period"])
    op.create_table(
        "clearing_split_party",
        sa.Column("party_id", text(), nullable=False),
        sa.Column("plan_sha256", text(), nullable=False),
        sa.ForeignKeyConstraint(["plan_sha256"], ["clearing_split_plan.plan_sha256"]),
        sa.PrimaryKeyConstraint("party_id", "plan_sha256"),
    )
    op.create_table(
        "clearing_royalty_demand",
        sa.Column("agreement_id", text(), nullable=False),
        sa.Column("demand", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("shown_by", text(), nullable=False),
        sa.Column("shown_at", time, nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["clearing_agreement.agreement_id"]),
        sa.PrimaryKeyConstraint("agreement_id"),
    )
    op.create_table(
        "clearing_income_report",
        sa.Column("income_id", text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("income_id"),
    )
    _make_lines()
    refuse_changes(TABLES)


def _make_lines() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    amounts = [
        sa.Column(f"{part}_{unit}", sa.BigInteger(), nullable=False)
        for unit in ("micro", "won")
        for part in ("supply", "vat", "fee", "fee_vat")
    ]
    op.create_table(
        "clearing_royalty_line",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("curator_id", text(), nullable=False),
        sa.Column("product_id", text(), nullable=False),
        sa.Column("party_id", text(), nullable=False),
        sa.Column("upstream_id", text(), nullable=False),
        sa.Column("role", text(), nullable=False),
        sa.Column("period", text(), nullable=False),
        sa.Column("plan_sha256", text(), nullable=False),
        sa.Column("income_id", text(), nullable=False),
        *amounts,
        sa.Column("accrual_entry_id", text(), nullable=True),
        sa.Column("cash_entry_id", text(), nullable=True),
        sa.ForeignKeyConstraint(["plan_sha256"], ["clearing_split_plan.plan_sha256"]),
        sa.ForeignKeyConstraint(["accrual_entry_id"], ["clearing_entry.id"]),
        sa.ForeignKeyConstraint(["cash_entry_id"], ["clearing_entry.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    for name in ("curator_id", "party_id", "period"):
        op.create_index(f"ix_clearing_royalty_line_{name}", "clearing_royalty_line", [name])


def downgrade() -> None:
    for table in (
        "clearing_royalty_line",
        "clearing_income_report",
        "clearing_royalty_demand",
        "clearing_split_party",
        "clearing_split_plan",
        "clearing_split_head",
    ):
        op.drop_table(table)
