"""Licensed relations, each with its file, and the history of statistics."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import databank.kit.db


revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "connector_relation",
        sa.Column("dataset_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("relation_sha256", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("file_name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("dataset_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "relation_sha256"),
    )
    op.create_table(
        "connector_statistic_basis",
        sa.Column("dataset_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("basis_sha256", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id"),
    )
    op.create_table(
        "connector_statistic_cell",
        sa.Column("dataset_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("measure", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("cell_sha256", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("cell_json", sa.Text(), nullable=False),
        sa.Column("act_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("answered_at", databank.kit.db.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "measure", "cell_sha256"),
    )


def downgrade() -> None:
    op.drop_table("connector_statistic_cell")
    op.drop_table("connector_statistic_basis")
    op.drop_table("connector_relation")
