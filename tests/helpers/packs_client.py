"""What a client does with packs, by the generated stubs alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from google.longrunning import operations_pb2
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.packer.v1 import packs_pb2_grpc

from tests.helpers.operations_client import OperationsClient

Fragment = str | tuple[str, str]
"""A fragment's name, or that with the label that it is given."""


def parts(fragments: Sequence[Fragment]) -> list[pb.PackFragment]:
    """Returns fragments as a request names them."""
    return [
        pb.PackFragment(fragment=one)
        if isinstance(one, str)
        else pb.PackFragment(fragment=one[0], label=one[1])
        for one in fragments
    ]


def slow_head(steps: int = 100_000) -> pb.HeadSpec:
    """Returns a head that takes minutes to fit."""
    return pb.HeadSpec(kind=pb.HEAD_KIND_PAPER, steps=steps)


class PacksClient(OperationsClient):
    """A client of Packs.

    Args:
        channel: A channel to the packer.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel)
        self.stub: packs_pb2_grpc.PacksAsyncStub
        self.stub = packs_pb2_grpc.PacksStub(channel)
        self._artifacts: artifacts_pb2_grpc.ArtifactsAsyncStub
        self._artifacts = artifacts_pb2_grpc.ArtifactsStub(channel)

    async def begin(
        self,
        pack_id: str,
        fragments: Sequence[Fragment],
        head: pb.HeadSpec | None = None,
        **more: Any,
    ) -> operations_pb2.Operation:
        """Asks for a pack."""
        pack = pb.Pack(fragments=parts(fragments), head=head)
        return await self.stub.CreatePack(pb.CreatePackRequest(pack_id=pack_id, pack=pack, **more))

    async def create(
        self, pack_id: str, fragments: Sequence[Fragment], head: pb.HeadSpec | None = None
    ) -> pb.Pack:
        """Makes a pack and waits for it."""
        return await self.result(await self.begin(pack_id, fragments, head))

    async def result(self, operation: operations_pb2.Operation) -> pb.Pack:
        """Waits for an operation that makes a pack.

        Raises:
            OperationFailedError: It failed.
        """
        return await self.response(operation, pb.Pack)

    async def get(self, pack_id: str) -> pb.Pack:
        """Returns a pack."""
        return await self.stub.GetPack(pb.GetPackRequest(name=f"packs/{pack_id}"))

    async def names(self, **query: Any) -> list[str]:
        """Returns the names of packs, by name."""
        request = pb.ListPacksRequest(order_by="name", **query)
        return [pack.name for pack in (await self.stub.ListPacks(request)).packs]

    async def delete(self, pack_id: str, **more: Any) -> None:
        """Deletes a pack."""
        await self.stub.DeletePack(pb.DeletePackRequest(name=f"packs/{pack_id}", **more))

    async def read(self, artifact: artifacts_pb2.Artifact) -> bytes:
        """Returns an artifact's bytes."""
        call = self._artifacts.Read(artifacts_pb2.ReadRequest(name=artifact.name))
        return b"".join([response.data async for response in call])
