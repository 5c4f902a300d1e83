"""The tables of packs and deployments.

Artifacts are held by `svckit.artifacts.references`, keyed by the names of these resources.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from svckit.artifacts.digests import DIGEST_LENGTH
from svckit.database.schema import COLUMN_TYPES, new_metadata

RESOURCE_LENGTH = 256
"""The longest resource name."""


CANARY_SUFFIX = "--canary"
"""What follows a deployment's name in the name of its canary's model; no deployment's ends so."""


class Base(DeclarativeBase):
    """The base of the packer's tables."""

    metadata = new_metadata()
    type_annotation_map = COLUMN_TYPES


class PackRow(Base):
    """One pack.

    Attributes:
        id: The last part of the name "packs/{id}".
        operation: The operation that kept it.
        display_name: A name for people.
        head: How the head was made, as protobuf's JSON of `HeadSpec`.
        options: What else was asked of it, as protobuf's JSON of `PackOptions`.
        labels: The labels in the order of the output "probabilities".
        inputs: One `InputSpec` an input, as protobuf's JSON.
        graph_digest: The graph.
        graph_size: Its size in bytes.
        manifest_digest: The manifest.
        manifest_size: Its size in bytes.
        proof_digest: The proof.
        proof_size: Its size in bytes.
        smoke_digest: The smoke test's inputs and answers.
        smoke_size: Its size in bytes.
        report_digest: The proof as a page; null for a pack that was made before there was one.
        report_size: Its size in bytes.
        proof_summary: What the proof says, as protobuf's JSON of `ProofSummary`.
        parameters: Floating parameters.
        macs: Multiply-accumulate operations per sample.
        ensemble_parameters: Those of the full originals with their joint classifier.
        ensemble_macs: Theirs too.
        create_time: When it was made.
        clone: What it was cloned from, as protobuf's JSON of `Clone`; null for a pack of fragments.
        reassembly: What its one network was put together of, as protobuf's JSON of `Reassembly`;
            null for a pack of fragments.
        fragments: What it was made of. Of a clone, the target's own classes have the name of the
            target in place of a fragment's, and so have cloned ones that no slicer cut out the
            name of the source; of a reassembled pack, its classes with the names of their models.
    """

    __tablename__ = "packs"
    __table_args__ = (Index("ix_packs_create_time", "create_time", "id"),)

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    operation: Mapped[str] = mapped_column(String(128))
    display_name: Mapped[str] = mapped_column(String(128))
    head: Mapped[dict[str, Any]]
    options: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    labels: Mapped[list[str]]
    inputs: Mapped[list[dict[str, Any]]]
    graph_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    graph_size: Mapped[int]
    manifest_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    manifest_size: Mapped[int]
    proof_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    proof_size: Mapped[int]
    smoke_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    smoke_size: Mapped[int]
    report_digest: Mapped[str | None] = mapped_column(String(DIGEST_LENGTH))
    report_size: Mapped[int | None]
    proof_summary: Mapped[dict[str, Any]]
    parameters: Mapped[int]
    macs: Mapped[int]
    ensemble_parameters: Mapped[int]
    ensemble_macs: Mapped[int]
    create_time: Mapped[datetime]
    clone: Mapped[dict[str, Any] | None]
    reassembly: Mapped[dict[str, Any] | None]
    fragments: Mapped[list["PackFragmentRow"]] = relationship(
        order_by="PackFragmentRow.place",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="selectin",
    )

    @property
    def name(self) -> str:
        """The resource name."""
        return f"packs/{self.id}"


class PackFragmentRow(Base):
    """One fragment of a pack, with all that another pack made of it needs to know.

    Attributes:
        pack_id: The pack.
        place: Its place in the pack, from 0 on.
        fragment: Its name in the slicer.
        label: The label of the pack's output that it stands for.
        graph_digest: Its graph.
        samples_digest: The samples of its model.
        licence: The licence of its model.
        source_class: The place of its class in its model.
        inputs: What it is fed, one `InputSpec` an input, as protobuf's JSON; None in packs that
            were made when all fragments of a pack were fed alike: what the pack is fed.
        model_classes: How many classes its model tells apart.
        model_feature_width: The width of the features that its model's classifier reads.
        model_parameters: Its model's floating parameters.
        model_macs: Its model's multiply-accumulate operations per sample.
        model_graph_digest: Its model's normalised graph; null in a pack that was made before this
            was kept.
        model_graph_size: The size of that graph in bytes.
        model_labels: The labels of its model's classes, in their order; empty in rows that were
            kept before this was.
    """

    __tablename__ = "pack_fragments"
    __table_args__ = (Index("ix_pack_fragments_label", "label"),)

    pack_id: Mapped[str] = mapped_column(
        ForeignKey("packs.id", ondelete="CASCADE"), primary_key=True
    )
    place: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    fragment: Mapped[str] = mapped_column(String(RESOURCE_LENGTH))
    label: Mapped[str] = mapped_column(String(256))
    graph_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    samples_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    licence: Mapped[str] = mapped_column(String(256))
    source_class: Mapped[int]
    inputs: Mapped[list[dict[str, Any]] | None]
    model_classes: Mapped[int]
    model_feature_width: Mapped[int]
    model_parameters: Mapped[int]
    model_macs: Mapped[int]
    model_graph_digest: Mapped[str | None] = mapped_column(String(DIGEST_LENGTH))
    model_graph_size: Mapped[int | None]
    model_labels: Mapped[list[str]] = mapped_column(default=list, server_default="[]")


class HeldReferenceRow(Base):
    """A reference that the packer holds on fragments in the slicer, and renews.

    Attributes:
        name: The reference's name in the slicer.
        operation: The operation that took it; the pack that it made has the same.
        holder: The pack that it is held for. No foreign key: it is taken before the pack is kept,
            and outlives it until the slicer has been told.
        fragments: The fragments.
        expire_time: When the slicer lets it go unless it is renewed.
    """

    __tablename__ = "held_references"
    __table_args__ = (Index("ix_held_references_operation", "operation"),)

    name: Mapped[str] = mapped_column(String(RESOURCE_LENGTH), primary_key=True)
    operation: Mapped[str] = mapped_column(String(128))
    holder: Mapped[str] = mapped_column(String(RESOURCE_LENGTH))
    fragments: Mapped[list[str]]
    expire_time: Mapped[datetime]


class OrderedWorkRow(Base):
    """One of the slicer's operations that the packer began for a pack with a budget.

    Attributes:
        work: Its name in the slicer.
        operation: The packer's operation; the pack that it made has the same.
    """

    __tablename__ = "ordered_work"
    __table_args__ = (Index("ix_ordered_work_operation", "operation"),)

    work: Mapped[str] = mapped_column(String(128), primary_key=True)
    operation: Mapped[str] = mapped_column(String(128))


class DeploymentRow(Base):
    """One deployment, or the canary of one: to replicas both are a name and what it serves.

    Attributes:
        id: The last part of the name "deployments/{id}"; of a canary, what
            `packer_svc.store.canaries.row_id` says.
        display_name: A name for people.
        pack_id: The pack that serves; null before the first one was ready.
        version: Its version in Triton; 0 before.
        previous_pack_id: The pack that served before.
        previous_version: Its version in Triton; 0 if there is none.
        candidate_pack_id: The pack that a switch under way tries.
        candidate_version: Its version in Triton.
        created_by: The operation that made it.
        operation: The switch under way; null if there is none.
        generation: Rises with every change of what is desired; never given out twice under one
            name, also not to a deployment that is made anew.
        state: The name of a `DeploymentState` without its prefix.
        revision: Rises with every change; the etag is made of it.
        create_time: When it was made.
        update_time: When it was last changed.
        canary_of: The id of the deployment that it is the canary of; null for a deployment. No
            foreign key: SQLite cannot add one.
        share: The share of requests that a canary is to be sent, in [0, 1]; null for a deployment.
        replicas: What each replica said of it.
    """

    __tablename__ = "deployments"
    __table_args__ = (
        Index("ix_deployments_create_time", "create_time", "id"),
        Index("ix_deployments_state", "state"),
    )

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    display_name: Mapped[str] = mapped_column(String(128))
    pack_id: Mapped[str | None] = mapped_column(ForeignKey("packs.id"))
    version: Mapped[int] = mapped_column(default=0)
    previous_pack_id: Mapped[str | None] = mapped_column(ForeignKey("packs.id"))
    previous_version: Mapped[int] = mapped_column(default=0)
    candidate_pack_id: Mapped[str | None] = mapped_column(ForeignKey("packs.id"))
    candidate_version: Mapped[int] = mapped_column(default=0)
    created_by: Mapped[str] = mapped_column(String(128))
    operation: Mapped[str | None] = mapped_column(String(128))
    generation: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int] = mapped_column(default=1)
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    canary_of: Mapped[str | None] = mapped_column(String(63))
    share: Mapped[float | None]
    replicas: Mapped[list["ReplicaRow"]] = relationship(
        order_by="ReplicaRow.replica",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="selectin",
    )

    @property
    def name(self) -> str:
        """The resource name; of a canary, what replicas call it."""
        return f"deployments/{self.model}"

    @property
    def model(self) -> str:
        """The model's name in Triton."""
        return self.id if self.canary_of is None else f"{self.canary_of}{CANARY_SUFFIX}"


class ReplicaRow(Base):
    """What one replica last said of one deployment.

    Attributes:
        deployment_id: The deployment.
        replica: The replica's name.
        generation: The generation that it reported on.
        version: The version that it serves; 0 for none.
        error: The serialized `google.rpc.Status`; empty if it serves what it should.
        report_time: When it reported.
        parity: How its live answers compare with the proof's, as protobuf's JSON of `LiveParity`.
        comparison: Of a canary, how it does beside its deployment, as
            `packer_svc.convert.comparison` keeps it; null where nothing is known.
    """

    __tablename__ = "replicas"

    deployment_id: Mapped[str] = mapped_column(
        ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True
    )
    replica: Mapped[str] = mapped_column(String(128), primary_key=True)
    generation: Mapped[int]
    version: Mapped[int]
    error: Mapped[bytes]
    report_time: Mapped[datetime]
    parity: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default="[]")
    comparison: Mapped[dict[str, Any] | None]


class LastVersionRow(Base):
    """The last version that was given out under a deployment's name.

    It outlives the deployment: a replica that missed the deletion must not take the files of an
    older pack for those of a new one.

    Attributes:
        deployment_id: The last part of the deployment's name; no foreign key.
        version: The version.
    """

    __tablename__ = "last_versions"

    deployment_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int]


class RevisionRow(Base):
    """The one row that counts changes of all that is desired.

    Attributes:
        id: Always 1.
        revision: Rises with every change.
    """

    __tablename__ = "desired_revision"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    revision: Mapped[int]
