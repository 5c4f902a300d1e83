"""Makes the tables of models, plans, fragments and references."""

import sqlalchemy as sa
from alembic import op

from svckit.database import UtcDateTime, create_kit_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kit_tables(op.get_bind())
    op.create_table(
        "models",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("operation", sa.String(length=128), nullable=False),
        sa.Column("display_name", sa.String(length=128), nullable=False),
        sa.Column("licence", sa.String(length=256), nullable=False),
        sa.Column("graph_digest", sa.String(length=71), nullable=False),
        sa.Column("graph_size", sa.BigInteger(), nullable=False),
        sa.Column("samples_digest", sa.String(length=71), nullable=False),
        sa.Column("samples_size", sa.BigInteger(), nullable=False),
        sa.Column("normalised_digest", sa.String(length=71), nullable=False),
        sa.Column("normalised_size", sa.BigInteger(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("sample_accuracy", sa.Double(), nullable=False),
        sa.Column("sample_count", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("macs", sa.BigInteger(), nullable=False),
        sa.Column("unit_group_count", sa.BigInteger(), nullable=False),
        sa.Column("feature_width", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("create_time", UtcDateTime(), nullable=False),
        sa.Column("update_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
    )
    op.create_index("ix_models_create_time", "models", ["create_time", "id"], unique=False)
    op.create_table(
        "curves",
        sa.Column("model_id", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=71), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("create_time", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_curves_model_id_models"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("model_id", "key", name=op.f("pk_curves")),
    )
    op.create_table(
        "fragment_references",
        sa.Column("model_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("holder", sa.String(length=256), nullable=False),
        sa.Column("fragments", sa.JSON(), nullable=False),
        sa.Column("expire_time", UtcDateTime(), nullable=False),
        sa.Column("create_time", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["models.id"],
            name=op.f("fk_fragment_references_model_id_models"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_id", "id", name=op.f("pk_fragment_references")),
    )
    op.create_index(
        "ix_fragment_references_expire_time", "fragment_references", ["expire_time"], unique=False
    )
    op.create_table(
        "fragments",
        sa.Column("model_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=71), nullable=False),
        sa.Column("label", sa.String(length=256), nullable=False),
        sa.Column("plan_id", sa.String(length=63), nullable=False),
        sa.Column("graph_digest", sa.String(length=71), nullable=False),
        sa.Column("graph_size", sa.BigInteger(), nullable=False),
        sa.Column("feature_width", sa.BigInteger(), nullable=False),
        sa.Column("score_width", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("macs", sa.BigInteger(), nullable=False),
        sa.Column("feature_error", sa.Double(), nullable=False),
        sa.Column("kept_units", sa.JSON(), nullable=False),
        sa.Column("method_version", sa.String(length=64), nullable=False),
        sa.Column("slice_seconds", sa.Double(), nullable=False),
        sa.Column("create_time", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["models.id"],
            name=op.f("fk_fragments_model_id_models"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_id", "id", name=op.f("pk_fragments")),
        sa.UniqueConstraint("model_id", "key", name=op.f("uq_fragments_model_id_key")),
    )
    op.create_index("ix_fragments_create_time", "fragments", ["create_time", "id"], unique=False)
    op.create_index("ix_fragments_label", "fragments", ["label"], unique=False)
    op.create_table(
        "model_classes",
        sa.Column("model_id", sa.String(length=63), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("label", sa.String(length=256), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["models.id"],
            name=op.f("fk_model_classes_model_id_models"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_id", "place", name=op.f("pk_model_classes")),
    )
    op.create_index("ix_model_classes_label", "model_classes", ["label"], unique=False)
    op.create_table(
        "plans",
        sa.Column("model_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("document_digest", sa.String(length=71), nullable=False),
        sa.Column("document_size", sa.BigInteger(), nullable=False),
        sa.Column("create_time", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_plans_model_id_models"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("model_id", "id", name=op.f("pk_plans")),
    )
    op.create_index(
        "ix_plans_create_time", "plans", ["model_id", "create_time", "id"], unique=False
    )
