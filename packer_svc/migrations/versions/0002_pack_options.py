"""Keeps what was asked of a pack beside its fragments and its head."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    column = sa.Column("options", sa.JSON(), nullable=False, server_default="{}")
    op.add_column("packs", column)
