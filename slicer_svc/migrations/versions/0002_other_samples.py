"""Lets curves and plans keep which samples of other models they read."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("curves", "plans"):
        op.add_column(table, sa.Column("other_samples", sa.JSON(), nullable=True))
