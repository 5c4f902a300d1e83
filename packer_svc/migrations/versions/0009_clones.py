"""Keeps of packs that were cloned which models they were cloned from, and how."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("packs", sa.Column("clone", sa.JSON(), nullable=True))
