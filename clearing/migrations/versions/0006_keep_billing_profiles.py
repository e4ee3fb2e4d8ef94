"""Keep billing profiles, every change for good."""

import sqlalchemy as sa
from alembic import op

import databank.kit.db
from clearing.migrations.append_only import refuse_changes

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clearing_billing",
        sa.Column("participant_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("recorded_at", databank.kit.db.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("participant_id", "number"),
    )
    refuse_changes(["clearing_billing"])


def downgrade() -> None:
    op.drop_table("clearing_billing")
