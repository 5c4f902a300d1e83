"""Which resources use which artifacts, counted in the service's own transactions."""

from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from svckit.artifacts.digests import parse_digest
from svckit.artifacts.failures import not_found
from svckit.artifacts.store import ArtifactStore
from svckit.artifacts.tables import ArtifactReferenceRow, ArtifactRow


class ArtifactReferences:
    """Adds and removes references; all methods take the session of the caller's transaction.

    Args:
        store: Where the artifacts are.
    """

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    async def add(self, session: AsyncSession, owner: str, role: str, digest: str) -> None:
        """Makes `owner` use an artifact in a role, in place of what it used there before.

        Once the transaction is committed no sweep deletes the artifact before the reference is
        removed.

        Args:
            session: A session that may write.
            owner: A resource name.
            role: What the owner needs the artifact for.
            digest: The artifact.

        Raises:
            InvalidArgument: FIELD_INVALID, the digest is malformed.
            NotFound: The artifact is not stored, or is being deleted.
        """
        row = await lock_row(session, parse_digest(digest))
        if row.deleting or not await self._store.touch(digest):
            raise not_found(digest)
        reference = await session.get(ArtifactReferenceRow, (owner, role))
        if reference is None:
            session.add(ArtifactReferenceRow(owner=owner, role=role, digest=digest))
        else:
            await self._store.touch(reference.digest)
            reference.digest = digest
        await session.flush()

    async def remove(self, session: AsyncSession, owner: str) -> None:
        """Removes all references of a resource; the time until a sweep starts now."""
        for digest in set((await self.of(session, owner)).values()):
            await self._store.touch(digest)
        await session.execute(
            delete(ArtifactReferenceRow).where(ArtifactReferenceRow.owner == owner)
        )

    async def of(self, session: AsyncSession, owner: str) -> Mapping[str, str]:
        """Returns the digests that a resource uses, by role."""
        rows = await session.scalars(
            select(ArtifactReferenceRow).where(ArtifactReferenceRow.owner == owner)
        )
        return {row.role: row.digest for row in rows}


async def lock_row(session: AsyncSession, digest: str) -> ArtifactRow:
    """Returns the locked row of an artifact; makes it if it is missing."""
    row = await session.get(ArtifactRow, digest, with_for_update=True)
    if row is None:
        try:
            async with session.begin_nested():
                session.add(ArtifactRow(digest=digest, deleting=False))
        except IntegrityError:
            pass  # Another transaction made it first; this one has now waited for its end.
        row = await session.get_one(
            ArtifactRow, digest, with_for_update=True, populate_existing=True
        )
    return row
