"""Which resources use which artifacts, counted in the service's own transactions."""

from collections.abc import Collection, Mapping, Sequence

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
        await self.add_all(session, owner, {role: digest})

    async def add_all(self, session: AsyncSession, owner: str, digests: Mapping[str, str]) -> None:
        """Does what `add` does for several roles at once, in as many statements as for one.

        Args:
            session: A session that may write.
            owner: A resource name.
            digests: The artifacts by their roles.

        Raises:
            InvalidArgument: FIELD_INVALID, a digest is malformed.
            NotFound: An artifact is not stored, or is being deleted.
        """
        for row in await _locked_rows(session, {parse_digest(one) for one in digests.values()}):
            if row.deleting or not await self._store.touch(row.digest):
                raise not_found(row.digest)
        there = await session.scalars(
            select(ArtifactReferenceRow).where(
                ArtifactReferenceRow.owner == owner, ArtifactReferenceRow.role.in_(digests)
            )
        )
        before = {row.role: row for row in there}
        for role, digest in digests.items():
            if role in before:
                await self._store.touch(before[role].digest)
                before[role].digest = digest
            else:
                session.add(ArtifactReferenceRow(owner=owner, role=role, digest=digest))
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


async def _locked_rows(session: AsyncSession, digests: Collection[str]) -> Sequence[ArtifactRow]:
    """Returns the locked rows of artifacts; makes those that are missing."""
    there = await session.scalars(
        select(ArtifactRow)
        .where(ArtifactRow.digest.in_(digests))
        # Whoever locks several does it in one order, so that no two wait for each other.
        .order_by(ArtifactRow.digest)
        .with_for_update()
    )
    rows = list(there)
    missing = sorted(set(digests) - {row.digest for row in rows})
    new = [ArtifactRow(digest=digest, deleting=False) for digest in missing]
    try:
        async with session.begin_nested():
            session.add_all(new)
    except IntegrityError:
        # Another transaction made one of them first; one by one they wait for its end.
        new = [await lock_row(session, digest) for digest in missing]
    return rows + new


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
