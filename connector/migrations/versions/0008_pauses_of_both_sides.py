"""whether a consumer has resumed, apart from whose pauses hold its process up."""

import sqlalchemy as sa
from alembic import op


revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("connector_transfer", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("has_resumed", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    op.execute(
        "UPDATE connector_transfer SET has_resumed = (1 = 1), suspended_by = NULL"
        " WHERE state = 'STARTED' AND suspended_by IS NOT NULL"
    )
    with op.batch_alter_table("connector_transfer", schema=None) as batch_op:
        batch_op.alter_column("has_resumed", server_default=None)


def downgrade() -> None:
    op.execute(
        "UPDATE connector_transfer SET suspended_by = NULL WHERE suspended_by = 'consumer provider'"
    )
    op.execute(
        "UPDATE connector_transfer SET suspended_by = 'consumer'"
        " WHERE state = 'STARTED' AND has_resumed"
    )
    with op.batch_alter_table("connector_transfer", schema=None) as batch_op:
        batch_op.drop_column("has_resumed")
