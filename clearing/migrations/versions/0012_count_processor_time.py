"""Count processor time."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = ("clearing_meter", "clearing_period_usage", "clearing_statement_line")


def upgrade() -> None:
    for table in TABLES:
        nothing = sa.Column("compute_ms", sa.BigInteger(), nullable=False, server_default="0")
        op.add_column(table, nothing)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_column(table, "compute_ms")
