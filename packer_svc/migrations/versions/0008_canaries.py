"""Keeps canaries beside their deployments, and what replicas say of how they compare."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("deployments", sa.Column("canary_of", sa.String(length=63), nullable=True))
    op.add_column("deployments", sa.Column("share", sa.Double(), nullable=True))
    op.add_column("replicas", sa.Column("comparison", sa.JSON(), nullable=True))
