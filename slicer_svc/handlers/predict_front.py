"""Predicts what plans of several sizes would come to."""

from __future__ import annotations

from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import plans_pb2

from slicer_svc.convert.plans import decode_recipe
from slicer_svc.handlers.basis import Wish
from slicer_svc.handlers.planning import Planning
from slicer_svc.jobs import entries
from slicer_svc.servicer.models import MODEL
from slicer_svc.store import models
from svckit.foundation import Foundation
from svckit.operations.job import JobContext


class PredictFrontHandler:
    """Runs PredictFront.

    Args:
        foundation: What the service stands on.
        planning: Runs planning jobs.
    """

    def __init__(self, foundation: Foundation, planning: Planning) -> None:
        self._foundation = foundation
        self._planning = planning

    async def __call__(
        self, context: JobContext, request: pb.PredictFrontRequest
    ) -> pb.PredictFrontResponse:
        """Predicts, and keeps nothing but what had to be measured.

        Raises:
            ServiceError: The model is gone, or a worker failed.
        """
        (model_id,) = MODEL.parse(request.name)
        async with self._foundation.database.reading() as session:
            model = await models.get(session, model_id)
        wish = Wish(decode_recipe(request.recipe), request.recipe.own_samples_only)
        sizes = list(request.sizes) or [wish.recipe.budget]
        found = await self._planning.run(context, model, wish, entries.FRONT, {"sizes": sizes})
        points = [plans_pb2.FrontPoint(**point) for point in found.result["points"]]
        return pb.PredictFrontResponse(points=points)
