"""Count processor time."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = (
    "connector_usage",
    "connector_usage_total",
    "connector_usage_month",
    "connector_acknowledgement",
)


def upgrade() -> None:
    for table in TABLES:
        nothing = sa.Column("compute_ms", sa.BigInteger(), nullable=False, server_default="0")
        op.add_column(table, nothing)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_column(table, "compute_ms")
