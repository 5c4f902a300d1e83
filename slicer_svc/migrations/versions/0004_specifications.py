"""Makes the table of what searches find models by; the slicer fills it for the models it has."""

import sqlalchemy as sa
from alembic import op

from svckit.database import UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "specifications",
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.String(length=63), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("missing", sa.String(length=1024), nullable=False),
        sa.Column("create_time", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["models.id"],
            name=op.f("fk_specifications_model_id_models"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_specifications")),
        sa.UniqueConstraint("model_id", name=op.f("uq_specifications_model_id")),
        sqlite_autoincrement=True,
    )
