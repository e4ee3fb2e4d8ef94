"""Licensed relations, each with its file."""

import sqlalchemy as sa
import sqlmodel
from alembic import op


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


def downgrade() -> None:
    op.drop_table("connector_relation")
