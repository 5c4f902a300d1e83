"""What the packer asks of its operations' rows."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from svckit.operations.messages import to_id
from svckit.operations.tables import OperationRow


async def ended(session: AsyncSession, names: Collection[str]) -> set[str]:
    """Returns those operations that have ended, and those that nobody knows any more.

    What such an operation left half done, nobody goes on with.

    Args:
        session: The session to read in.
        names: Names of operations.
    """
    statement = select(OperationRow.id).where(
        OperationRow.id.in_({to_id(name) for name in names}), OperationRow.end_time.is_(None)
    )
    unfinished = set(await session.scalars(statement))
    return {name for name in names if to_id(name) not in unfinished}
