"""The tables that say which artifacts are in use."""

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from svckit.artifacts.digests import DIGEST_LENGTH
from svckit.database.schema import KitBase

_DIGEST = String(DIGEST_LENGTH)


class ArtifactRow(KitBase):
    """An artifact that something points at, or that is being deleted.

    Whoever adds a reference and whoever deletes the artifact locks this row first, so that they
    never pass each other.

    Attributes:
        digest: ``sha256:<hex>``.
        deleting: A sweep has decided to delete the artifact; nothing may point at it any more.
    """

    __tablename__ = "artifacts"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    deleting: Mapped[bool] = mapped_column(default=False)


class ArtifactReferenceRow(KitBase):
    """One use of an artifact.

    Attributes:
        owner: The resource that needs the artifact, such as ``models/m1``.
        role: What it needs it for, such as ``graph``.
        digest: The artifact.
    """

    __tablename__ = "artifact_references"
    __table_args__ = (Index("ix_artifact_references_digest", "digest"),)

    owner: Mapped[str] = mapped_column(String(512), primary_key=True)
    role: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[str] = mapped_column(_DIGEST, ForeignKey("artifacts.digest"))
