"""Many processes on one store: offices, processes, paces, stray messages; batches know whether a queue carries them.

On PostgreSQL the journal is parted by month (`gateway.store.months` makes the months). No store of an older schema was ever on
PostgreSQL, so nothing has to be moved.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "lease",
        sa.Column("office", sa.Text(), primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "process",
        sa.Column("owner", sa.Text(), primary_key=True),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("channels", sa.JSON(), nullable=False),
    )
    op.create_table(
        "pace",
        sa.Column("channel", sa.Text(), primary_key=True),
        sa.Column("free_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "stray",
        sa.Column("n", serial, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("replay", sa.Boolean(), nullable=False),
    )
    op.add_column("batch", sa.Column("published_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("alert_via", "alert", ["via", "received_at"])
    op.create_index("batch_leased", "batch", ["lease_until"])
    op.create_index("batch_published", "batch", ["published_at", "priority", "expires_at", "n"])
    if op.get_bind().dialect.name == "postgresql":
        _part_the_journal()


def _part_the_journal() -> None:
    op.execute("DROP TABLE journal")
    op.execute(
        "CREATE TABLE journal (seq BIGSERIAL NOT NULL, at BIGINT NOT NULL, attempts BYTEA, statements BYTEA,"
        " PRIMARY KEY (seq, at)) PARTITION BY RANGE (at)"
    )
    op.execute("CREATE TABLE journal_other PARTITION OF journal DEFAULT")
