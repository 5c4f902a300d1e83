"""Keeps how a replica's live answers compare with the proof's."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    column = sa.Column("parity", sa.JSON(), nullable=False, server_default="[]")
    op.add_column("replicas", column)
