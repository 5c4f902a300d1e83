"""Keeps a pack's report, and which graphs its originals have. Older packs have neither."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("packs", sa.Column("report_digest", sa.String(length=71), nullable=True))
    op.add_column("packs", sa.Column("report_size", sa.BigInteger(), nullable=True))
    graph = sa.Column("model_graph_digest", sa.String(length=71), nullable=True)
    op.add_column("pack_fragments", graph)
    op.add_column("pack_fragments", sa.Column("model_graph_size", sa.BigInteger(), nullable=True))
