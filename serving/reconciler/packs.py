"""Reads packs from the packer, verified by digest."""

from __future__ import annotations

from pathlib import Path

import grpc

from serving.errors import PackDamagedError, PackUnavailableError
from serving.reconciler.convert import artifact_name
from svckit.clients.artifacts import download
from svckit.errors import DataLoss, ServiceError


class PackerArtifacts:
    """The packer's artifact store, as a source of packs.

    Args:
        channel: A channel to the packer.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def fetch(self, digest: str, target: Path) -> None:
        """Writes an artifact's bytes to a file; a broken transfer goes on where it broke.

        Args:
            digest: Of what to read.
            target: The file; it appears whole and verified, or not at all.

        Raises:
            PackUnavailableError: The packer does not have it, or the transfer broke too often.
            PackDamagedError: What came has another digest, twice in a row.
            OSError: The file cannot be written.
        """
        try:
            await download(self._channel, artifact_name(digest), target)
        except DataLoss as error:
            raise PackDamagedError(
                error.message,
                advice="Make the pack anew, and have the packer's disk checked.",
                metadata=error.metadata,
            ) from error
        except ServiceError as error:
            raise PackUnavailableError(
                f"{artifact_name(digest)} cannot be read from the packer: {error.message}",
                advice="See that the packer runs and still has the pack.",
            ) from error
