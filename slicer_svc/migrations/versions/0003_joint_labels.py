"""Lets fragments tell which classes they were cut for together."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    column = sa.Column("joint_labels", sa.JSON(), nullable=False, server_default="[]")
    op.add_column("fragments", column)
