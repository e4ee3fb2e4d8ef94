"""Make the log of receipts, agreements and statements."""

import sqlalchemy as sa
from alembic import op

import databank.kit.db
from clearing.migrations.append_only import refuse_changes

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("clearing_log_leaf", "clearing_log_hash", "clearing_checkpoint")


def upgrade() -> None:
    op.create_table(
        "clearing_log_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO clearing_log_head (id, size) VALUES (1, 0)")
    op.create_table(
        "clearing_log_leaf",
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_table(
        "clearing_log_hash",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "position"),
    )
    op.create_table(
        "clearing_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", databank.kit.db.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.add_column("clearing_batch", sa.Column("signer", sa.String(), nullable=True))
    op.add_column("clearing_agreement", sa.Column("seal", sa.Text(), nullable=True))
    op.add_column("clearing_statement", sa.Column("seal", sa.Text(), nullable=True))
    refuse_changes(TABLES)
    _let_the_head_grow()


def _let_the_head_grow() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("""
            CREATE FUNCTION clearing_refuse_shorter_log() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'clearing_log_head only grows'; END $$
        """)
        op.execute("""
            CREATE TRIGGER clearing_log_head_grows BEFORE UPDATE ON clearing_log_head
            FOR EACH ROW WHEN (NEW.size <= OLD.size)
            EXECUTE FUNCTION clearing_refuse_shorter_log()
        """)
        op.execute("""
            CREATE TRIGGER clearing_log_head_stays BEFORE DELETE OR TRUNCATE ON clearing_log_head
            FOR EACH STATEMENT EXECUTE FUNCTION clearing_refuse_change()
        """)
        return
    op.execute("""
        CREATE TRIGGER clearing_log_head_grows BEFORE UPDATE ON clearing_log_head
        WHEN NEW.size <= OLD.size
        BEGIN SELECT RAISE(ABORT, 'clearing_log_head only grows'); END
    """)
    op.execute("""
        CREATE TRIGGER clearing_log_head_stays BEFORE DELETE ON clearing_log_head
        BEGIN SELECT RAISE(ABORT, 'clearing_log_head is append-only'); END
    """)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION clearing_refuse_shorter_log() CASCADE")
    for table in (*TABLES, "clearing_log_head"):
        op.drop_table(table)
    op.drop_column("clearing_statement", "seal")
    op.drop_column("clearing_batch", "signer")
    op.drop_column("clearing_agreement", "seal")
