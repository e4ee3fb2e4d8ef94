"""index of changes, from which the catalog's version is read."""

from alembic import op


revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("connector_published", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_connector_published_changes_count"), ["changes_count"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("connector_published", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_connector_published_changes_count"))
