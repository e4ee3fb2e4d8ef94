"""What each agreement is about, as its supplier told it once."""

import sqlalchemy as sa
import sqlmodel
from alembic import op


revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "connector_agreed_dataset",
        sa.Column("agreement_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("dataset_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("agreement_id"),
    )


def downgrade() -> None:
    op.drop_table("connector_agreed_dataset")
