"""Keeps the labels of all classes that the model of a pack's fragment knows."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    column = sa.Column("model_labels", sa.JSON(), nullable=False, server_default="[]")
    op.add_column("pack_fragments", column)
