"""Makes the tables of packs and deployments."""

import sqlalchemy as sa
from alembic import op

from svckit.database import UtcDateTime, create_kit_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kit_tables(op.get_bind())
    op.create_table(
        "desired_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desired_revision")),
    )
    op.create_table(
        "held_references",
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("operation", sa.String(length=128), nullable=False),
        sa.Column("holder", sa.String(length=256), nullable=False),
        sa.Column("fragments", sa.JSON(), nullable=False),
        sa.Column("expire_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_held_references")),
    )
    op.create_index("ix_held_references_operation", "held_references", ["operation"], unique=False)
    op.create_table(
        "last_versions",
        sa.Column("deployment_id", sa.String(length=63), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_last_versions")),
    )
    op.create_table(
        "packs",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("operation", sa.String(length=128), nullable=False),
        sa.Column("display_name", sa.String(length=128), nullable=False),
        sa.Column("head", sa.JSON(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("graph_digest", sa.String(length=71), nullable=False),
        sa.Column("graph_size", sa.BigInteger(), nullable=False),
        sa.Column("manifest_digest", sa.String(length=71), nullable=False),
        sa.Column("manifest_size", sa.BigInteger(), nullable=False),
        sa.Column("proof_digest", sa.String(length=71), nullable=False),
        sa.Column("proof_size", sa.BigInteger(), nullable=False),
        sa.Column("smoke_digest", sa.String(length=71), nullable=False),
        sa.Column("smoke_size", sa.BigInteger(), nullable=False),
        sa.Column("proof_summary", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("macs", sa.BigInteger(), nullable=False),
        sa.Column("ensemble_parameters", sa.BigInteger(), nullable=False),
        sa.Column("ensemble_macs", sa.BigInteger(), nullable=False),
        sa.Column("create_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packs")),
    )
    op.create_index("ix_packs_create_time", "packs", ["create_time", "id"], unique=False)
    op.create_table(
        "deployments",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("display_name", sa.String(length=128), nullable=False),
        sa.Column("pack_id", sa.String(length=63), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("previous_pack_id", sa.String(length=63), nullable=True),
        sa.Column("previous_version", sa.BigInteger(), nullable=False),
        sa.Column("candidate_pack_id", sa.String(length=63), nullable=True),
        sa.Column("candidate_version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("operation", sa.String(length=128), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("create_time", UtcDateTime(), nullable=False),
        sa.Column("update_time", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["candidate_pack_id"], ["packs.id"], name=op.f("fk_deployments_candidate_pack_id_packs")
        ),
        sa.ForeignKeyConstraint(
            ["pack_id"], ["packs.id"], name=op.f("fk_deployments_pack_id_packs")
        ),
        sa.ForeignKeyConstraint(
            ["previous_pack_id"], ["packs.id"], name=op.f("fk_deployments_previous_pack_id_packs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    op.create_index(
        "ix_deployments_create_time", "deployments", ["create_time", "id"], unique=False
    )
    op.create_index("ix_deployments_state", "deployments", ["state"], unique=False)
    op.create_table(
        "pack_fragments",
        sa.Column("pack_id", sa.String(length=63), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fragment", sa.String(length=256), nullable=False),
        sa.Column("label", sa.String(length=256), nullable=False),
        sa.Column("graph_digest", sa.String(length=71), nullable=False),
        sa.Column("samples_digest", sa.String(length=71), nullable=False),
        sa.Column("licence", sa.String(length=256), nullable=False),
        sa.Column("source_class", sa.BigInteger(), nullable=False),
        sa.Column("model_classes", sa.BigInteger(), nullable=False),
        sa.Column("model_feature_width", sa.BigInteger(), nullable=False),
        sa.Column("model_parameters", sa.BigInteger(), nullable=False),
        sa.Column("model_macs", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pack_id"],
            ["packs.id"],
            name=op.f("fk_pack_fragments_pack_id_packs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pack_id", "place", name=op.f("pk_pack_fragments")),
    )
    op.create_index("ix_pack_fragments_label", "pack_fragments", ["label"], unique=False)
    op.create_table(
        "replicas",
        sa.Column("deployment_id", sa.String(length=63), nullable=False),
        sa.Column("replica", sa.String(length=128), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.LargeBinary(), nullable=False),
        sa.Column("report_time", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployments.id"],
            name=op.f("fk_replicas_deployment_id_deployments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("deployment_id", "replica", name=op.f("pk_replicas")),
    )
