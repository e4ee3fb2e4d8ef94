"""Keep billing profiles, every change for good."""

import sqlalchemy as sa
from alembic import op

import databank.kit.db

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
    if op.get_bind().dialect.name == "postgresql":
        op.execute("""
            CREATE TRIGGER clearing_billing_append_only
            BEFORE UPDATE OR DELETE OR TRUNCATE ON clearing_billing
            FOR EACH STATEMENT EXECUTE FUNCTION clearing_refuse_change()
        """)
        return
    for action in ("UPDATE", "DELETE"):
        op.execute(f"""
            CREATE TRIGGER clearing_billing_no_{action.lower()} BEFORE {action} ON clearing_billing
            BEGIN SELECT RAISE(ABORT, 'clearing_billing is append-only'); END
        """)


def downgrade() -> None:
    op.drop_table("clearing_billing")
