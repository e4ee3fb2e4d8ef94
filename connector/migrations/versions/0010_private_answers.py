"""Answers with noise, which are also the account of each dataset's budget."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import databank.kit.db


revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "connector_private_answer",
        sa.Column("dataset_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("question_sha256", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("entity", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("question_json", sa.Text(), nullable=False),
        sa.Column("values_json", sa.Text(), nullable=False),
        sa.Column("epsilon_milli", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("act_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("answered_at", databank.kit.db.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "question_sha256"),
    )
    op.create_index(
        op.f("ix_connector_private_answer_agreement_id"),
        "connector_private_answer",
        ["agreement_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(
        op.f("ix_connector_private_answer_agreement_id"), table_name="connector_private_answer"
    )
    op.drop_table("connector_private_answer")
