"""Keeps what the one network of a reassembled pack was put together of."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("packs", sa.Column("reassembly", sa.JSON(), nullable=True))
