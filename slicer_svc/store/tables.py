"""The tables of models, plans, fragments and references.

Artifacts are held by `svckit.artifacts.references`, keyed by the names of these resources.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from svckit.artifacts.digests import DIGEST_LENGTH
from svckit.database.schema import COLUMN_TYPES, new_metadata

MISSING_LENGTH = 1024
"""Characters that are kept of why a model has no specification."""


class Base(DeclarativeBase):
    """The base of the slicer's tables."""

    metadata = new_metadata()
    type_annotation_map = COLUMN_TYPES


class ModelRow(Base):
    """One submitted model.

    Attributes:
        id: The last part of the name "models/{id}".
        operation: The operation that kept it.
        display_name: A name for people.
        licence: An SPDX expression.
        graph_digest: The graph as submitted.
        graph_size: Its size in bytes.
        samples_digest: The samples.
        samples_size: Their size in bytes.
        normalised_digest: The checked and normalised graph.
        normalised_size: Its size in bytes.
        labels: The labels of its classes in the order of the graph's outputs.
        inputs: One `InputSpec` an input, as protobuf's JSON.
        sample_accuracy: The share of its samples that the model classifies rightly.
        sample_count: How many samples there are.
        parameters: Floating parameters.
        macs: Multiply-accumulate operations per sample.
        unit_group_count: How many groups of units can be sliced.
        feature_width: The length of the feature vector.
        revision: Rises with every change; the etag is made of it.
        create_time: When it was submitted.
        update_time: When it was last changed.
        classes: Its labels once more, for filters; never loaded.
        specification: What searches find it by; None until that is made.
    """

    __tablename__ = "models"
    __table_args__ = (Index("ix_models_create_time", "create_time", "id"),)

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    operation: Mapped[str] = mapped_column(String(128))
    display_name: Mapped[str] = mapped_column(String(128))
    licence: Mapped[str] = mapped_column(String(256))
    graph_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    graph_size: Mapped[int]
    samples_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    samples_size: Mapped[int]
    normalised_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    normalised_size: Mapped[int]
    labels: Mapped[list[str]]
    inputs: Mapped[list[dict[str, Any]]]
    sample_accuracy: Mapped[float]
    sample_count: Mapped[int]
    parameters: Mapped[int]
    macs: Mapped[int]
    unit_group_count: Mapped[int]
    feature_width: Mapped[int]
    revision: Mapped[int] = mapped_column(Integer, default=1)
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    classes: Mapped[list["ModelClassRow"]] = relationship(
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="raise",
    )
    # Apart from the model's own row, which a transaction may lock.
    specification: Mapped["SpecificationRow | None"] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, lazy="selectin"
    )

    @property
    def name(self) -> str:
        """The resource name."""
        return f"models/{self.id}"


class ModelClassRow(Base):
    """One class of a model.

    Attributes:
        model_id: The model.
        place: The graph's output, from 0 on.
        label: The class's label.
    """

    __tablename__ = "model_classes"
    __table_args__ = (Index("ix_model_classes_label", "label"),)

    model_id: Mapped[str] = mapped_column(
        ForeignKey("models.id", ondelete="CASCADE"), primary_key=True
    )
    place: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    label: Mapped[str] = mapped_column(String(256))


class SpecificationRow(Base):
    """What searches find a model by, or why there is none.

    Attributes:
        serial: Rises with every row that there ever was, so that a change of the table can be seen.
        model_id: The model.
        version: The version of the method that made it.
        digest: The specification; None where there is none.
        size: Its size in bytes, 0 where there is none.
        facts: What is told of it, as `slicer_svc.jobs.specify_model` says.
        missing: Why there is none, one sentence; empty where there is one.
        create_time: When it was made.
    """

    __tablename__ = "specifications"
    # Numbers of deleted rows are not given again.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's own.

    serial: Mapped[int] = mapped_column(Integer, primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), unique=True)
    version: Mapped[int]
    digest: Mapped[str | None] = mapped_column(String(DIGEST_LENGTH))
    size: Mapped[int]
    facts: Mapped[dict[str, Any]]
    missing: Mapped[str] = mapped_column(String(MISSING_LENGTH))
    create_time: Mapped[datetime]


class CurvesRow(Base):
    """What was measured of a model, so that a plan for another budget is quick.

    These are its curves of error, or the times of its nodes.

    Attributes:
        model_id: The model.
        key: What else the measurements depend on, as a digest.
        digest: The measurements as JSON.
        other_samples: Samples of other models that curves were measured with too, as
            `OtherSamples.to_json` has them; every plan that rests on these curves reads the same.
        create_time: When they were made.
    """

    __tablename__ = "curves"

    model_id: Mapped[str] = mapped_column(
        ForeignKey("models.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    other_samples: Mapped[dict[str, Any] | None]
    create_time: Mapped[datetime]


class PlanRow(Base):
    """One plan.

    Attributes:
        model_id: The model.
        id: The last part of the name "models/{model_id}/plans/{id}"; made of its operation's.
        recipe: What was asked for, as protobuf's JSON of `Recipe`.
        summary: What the plan says, as protobuf's JSON of `Plan`.
        document_digest: The plan as JSON, which slicing reads.
        document_size: Its size in bytes.
        other_samples: Samples of other models that slicing reads too, as `OtherSamples.to_json` has
            them.
        create_time: When it was made.
    """

    __tablename__ = "plans"
    __table_args__ = (Index("ix_plans_create_time", "model_id", "create_time", "id"),)

    model_id: Mapped[str] = mapped_column(
        ForeignKey("models.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    recipe: Mapped[dict[str, Any]]
    summary: Mapped[dict[str, Any]]
    document_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    document_size: Mapped[int]
    other_samples: Mapped[dict[str, Any] | None]
    create_time: Mapped[datetime]

    @property
    def name(self) -> str:
        """The resource name."""
        return f"models/{self.model_id}/plans/{self.id}"


class FragmentRow(Base):
    """One fragment.

    Attributes:
        model_id: The model.
        id: The last part of the name "models/{model_id}/fragments/{id}"; made of `key`.
        key: The digest of all that the fragment depends on: equal keys, equal fragments.
        label: The label of its class.
        plan_id: The plan that it follows.
        graph_digest: The graph.
        graph_size: Its size in bytes.
        feature_width: The width of the output "features".
        score_width: The width of the output "scores".
        parameters: Floating parameters.
        macs: Multiply-accumulate operations per sample.
        feature_error: The relative error of the features.
        kept_units: The kept units by group; a query has to ask for them.
        method_version: The version of the slicing method.
        slice_seconds: How long slicing took.
        joint_labels: The labels of all classes that it was cut for, where these are several.
        create_time: When it was made.
    """

    __tablename__ = "fragments"
    __table_args__ = (
        UniqueConstraint("model_id", "key"),
        Index("ix_fragments_create_time", "create_time", "id"),
        Index("ix_fragments_label", "label"),
    )

    model_id: Mapped[str] = mapped_column(
        ForeignKey("models.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    key: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    label: Mapped[str] = mapped_column(String(256))
    plan_id: Mapped[str] = mapped_column(String(63))
    graph_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    graph_size: Mapped[int]
    feature_width: Mapped[int]
    score_width: Mapped[int]
    parameters: Mapped[int]
    macs: Mapped[int]
    feature_error: Mapped[float]
    kept_units: Mapped[dict[str, Any]] = mapped_column(deferred=True, deferred_raiseload=True)
    method_version: Mapped[str] = mapped_column(String(64))
    slice_seconds: Mapped[float]
    joint_labels: Mapped[list[str]]
    create_time: Mapped[datetime]
    model: Mapped[ModelRow] = relationship(lazy="joined")

    @property
    def name(self) -> str:
        """The resource name."""
        return f"models/{self.model_id}/fragments/{self.id}"

    @property
    def plan_name(self) -> str:
        """The plan's resource name."""
        return f"models/{self.model_id}/plans/{self.plan_id}"


class ReferenceRow(Base):
    """One reference of a pack on fragments of a model.

    Attributes:
        model_id: The model.
        id: The last part of the name "models/{model_id}/references/{id}".
        holder: The pack's name.
        fragments: The names of the fragments.
        expire_time: From then on it holds nothing.
        create_time: When it was made.
    """

    __tablename__ = "fragment_references"
    __table_args__ = (Index("ix_fragment_references_expire_time", "expire_time"),)

    model_id: Mapped[str] = mapped_column(
        ForeignKey("models.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    holder: Mapped[str] = mapped_column(String(256))
    fragments: Mapped[list[str]]
    expire_time: Mapped[datetime]
    create_time: Mapped[datetime]

    @property
    def name(self) -> str:
        """The resource name."""
        return f"models/{self.model_id}/references/{self.id}"
