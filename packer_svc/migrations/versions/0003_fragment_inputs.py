"""Keeps what each fragment of a pack is fed, which need not be what the pack is fed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("pack_fragments", sa.Column("inputs", sa.JSON(), nullable=True))
