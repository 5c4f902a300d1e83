"""What follows from replicas that come and go."""

from __future__ import annotations

from sqlalchemy import select

from packer_svc.deployments.board import Board, reports_on
from packer_svc.store import deployments
from packer_svc.store.tables import DeploymentRow
from svckit.database import Database


class Presence:
    """Writes the states of deployments anew when replicas have come or gone.

    Args:
        database: Where deployments are.
        board: Who is connected.
    """

    INTERVAL_SECONDS = 60.0
    """The time between two looks although nobody came or went, so that a failed one is made up."""

    def __init__(self, database: Database, board: Board) -> None:
        self._database = database
        self._board = board

    async def settle(self) -> None:
        """Writes the states that follow from who is connected, and wakes the switches."""
        async with self._database.writing() as session:
            await deployments.refresh_states(session, self._board.connected)
            ids = list(await session.scalars(select(DeploymentRow.id)))
        for deployment_id in ids:
            self._board.changes.notify(reports_on(deployment_id))
