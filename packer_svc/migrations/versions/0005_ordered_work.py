"""Makes the table of the slicer's operations that the packer's began."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "ordered_work",
        sa.Column("work", sa.String(length=128), nullable=False),
        sa.Column("operation", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("work", name=op.f("pk_ordered_work")),
    )
    op.create_index("ix_ordered_work_operation", "ordered_work", ["operation"], unique=False)
