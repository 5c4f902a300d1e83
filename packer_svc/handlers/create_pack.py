"""Runs CreatePack, AddClasses, RemoveClasses, CloneClasses: ways to say what a pack is made of."""

from __future__ import annotations

from sliceandpack.packer.v1 import cloning_pb2
from sliceandpack.packer.v1 import packs_pb2 as pb

from packer_svc.convert.evaluation import changed_options
from packer_svc.convert.packs import decode_head, encode_pack
from packer_svc.deployments.gate import Gate
from packer_svc.handlers.clone import CloneMaker
from packer_svc.handlers.make_pack import PackMaker
from packer_svc.origins import kept_origins
from packer_svc.recipe import PackRecipe
from packer_svc.store import packs
from packer_svc.store.tables import PackRow
from svckit.database import Database
from svckit.names import ResourcePattern
from svckit.operations.job import JobContext

PACK = ResourcePattern.of(pb.Pack)


class PackHandlers:
    """The handlers of all operations that make packs.

    Args:
        database: Where the packs are.
        maker: Makes packs.
        cloner: Makes those that are cloned.
        gate: Which packs may be deployed.
    """

    def __init__(
        self, database: Database, maker: PackMaker, cloner: CloneMaker, gate: Gate
    ) -> None:
        self._cloner = cloner
        self._gate = gate
        self._database = database
        self._maker = maker

    async def create(self, context: JobContext, request: pb.CreatePackRequest) -> pb.Pack:
        """Makes a pack of the fragments named.

        Raises:
            ServiceError: See `PackMaker.make`.
        """
        recipe = PackRecipe(
            request.pack_id or made_id(context),
            request.pack.display_name,
            request.pack.fragments,
            decode_head(request.pack.head),
            request.pack.options,
        )
        return self._gate.shown(await self._maker.make(context, recipe))

    async def add(self, context: JobContext, request: pb.AddClassesRequest) -> pb.Pack:
        """Makes a pack of another pack's fragments and further ones.

        Raises:
            ServiceError: The pack is gone; or see `PackMaker.make`.
        """
        base = await self._base(request.name)
        fragments = [*_asked(base), *request.fragments]
        return await self._changed(context, base, fragments, request)

    async def remove(self, context: JobContext, request: pb.RemoveClassesRequest) -> pb.Pack:
        """Makes a pack of another pack's fragments without some classes.

        Raises:
            ServiceError: The pack is gone; or see `PackMaker.make`.
        """
        base = await self._base(request.name)
        if base.clone is not None:
            pack_id = request.pack_id or made_id(context)
            return self._gate.shown(await self._cloner.remove(context, base, request, pack_id))
        fragments = [part for part in _asked(base) if part.label not in request.labels]
        return await self._changed(context, base, fragments, request)

    async def clone(self, context: JobContext, request: cloning_pb2.CloneClassesRequest) -> pb.Pack:
        """Makes a pack of a model and classes of another one that are cloned into it.

        Raises:
            ServiceError: See `CloneMaker.clone`.
        """
        pack_id = request.pack_id or made_id(context)
        return self._gate.shown(await self._cloner.clone(context, request, pack_id))

    async def _base(self, name: str) -> PackRow:
        (pack_id,) = PACK.parse(name)
        async with self._database.reading() as session:
            return await packs.get(session, pack_id)

    async def _changed(
        self,
        context: JobContext,
        base: PackRow,
        fragments: list[pb.PackFragment],
        request: pb.AddClassesRequest | pb.RemoveClassesRequest,
    ) -> pb.Pack:
        before = encode_pack(base)
        # It held for the fragments that were sliced to meet it, and they stay as they are.
        before.options.ClearField("budget")
        recipe = PackRecipe(
            request.pack_id or made_id(context),
            base.display_name,
            fragments,
            decode_head(before.head),
            changed_options(before.options, request.evaluation_samples),
            kept_origins(base),
        )
        return self._gate.shown(await self._maker.make(context, recipe))


def made_id(context: JobContext) -> str:
    """Returns the id of a pack that was given none: the same at every attempt."""
    return f"pack-{context.job.operation.rpartition('/')[2][:12]}"


def _asked(pack: PackRow) -> list[pb.PackFragment]:
    """A pack's fragments as they would be asked for, with the labels that they have."""
    return [pb.PackFragment(fragment=one.fragment, label=one.label) for one in pack.fragments]
