"""The slicer's composition root."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc, search_pb2, search_pb2_grpc

from slicer_svc.handlers.create_model import CreateModelHandler
from slicer_svc.handlers.create_plan import CreatePlanHandler
from slicer_svc.handlers.planning import Planning
from slicer_svc.handlers.predict_front import PredictFrontHandler
from slicer_svc.handlers.slice_model import SliceModelHandler
from slicer_svc.jobs import entries
from slicer_svc.search.catalogue import Catalogue
from slicer_svc.search.missing import MissingSpecifications
from slicer_svc.search.tasks import Tasks
from slicer_svc.servicer import ModelsServicer
from slicer_svc.servicer.search import SearchServicer
from slicer_svc.settings import SlicerSettings
from svckit.devices import known_device
from svckit.foundation import Foundation, open_foundation, service
from svckit.lifecycle import Runtime
from svckit.server import Service
from svckit.upkeep import Upkeep
from svckit.workers.limits import WorkerLimits
from svckit.workers.pool import PoolSettings, WorkerPool
from svckit.workers.warming import warming

MIGRATIONS = Path(__file__).with_name("migrations")

SEARCH_LIMITS = WorkerLimits(
    address_space_bytes=4 * 2**30, resident_bytes=2**30, cpu_seconds=60, wall_seconds=60
)
"""What looking into the samples of a search may take: somebody waits for it."""


async def compose(settings: SlicerSettings, runtime: Runtime) -> Sequence[Service]:
    """Opens what the slicer stands on and returns its services.

    Args:
        settings: The settings of the process.
        runtime: Takes what has to be closed.

    Raises:
        StartupError: Another process uses the state folder, or workers compute elsewhere than
            was asked for.
    """
    foundation = await open_foundation(settings, runtime, MIGRATIONS, entries.ALL)
    device = known_device(foundation.workers, entries.DEVICE, settings.device, runtime.metrics)
    await runtime.resources.enter_async_context(device)
    await runtime.resources.enter_async_context(warming(foundation.workers, entries.ALL))
    runner = foundation.runner
    runner.register("CreateModel", CreateModelHandler(foundation), models_pb2.CreateModelRequest)
    planning = Planning(foundation)
    plan, front = CreatePlanHandler(foundation, planning), PredictFrontHandler(foundation, planning)
    runner.register("CreatePlan", plan, models_pb2.CreatePlanRequest)
    runner.register("PredictFront", front, models_pb2.PredictFrontRequest)
    runner.register("SliceModel", SliceModelHandler(foundation), models_pb2.SliceModelRequest)
    await runtime.resources.enter_async_context(runner)
    add_models = partial(models_pb2_grpc.add_ModelsServicer_to_server, ModelsServicer(foundation))
    search = await _search(settings, runtime, foundation)
    add_search = partial(search_pb2_grpc.add_SearchServicer_to_server, search)
    return (
        service(models_pb2.DESCRIPTOR, "Models", add_models),
        service(search_pb2.DESCRIPTOR, "Search", add_search),
        *foundation.services(),
    )


async def _search(
    settings: SlicerSettings, runtime: Runtime, foundation: Foundation
) -> SearchServicer:
    """Opens what searches stand on; nothing of it is waited for."""
    missing = MissingSpecifications(foundation)
    clock = foundation.clock
    making = Upkeep("specifications", missing.settle, missing.INTERVAL_SECONDS, clock)
    catalogue = Catalogue(foundation.database, foundation.artifacts, making.wake)
    workers = WorkerPool(
        entries.SEARCH,
        PoolSettings(threads=settings.library_threads, gpus=False, limits=SEARCH_LIMITS),
        on_death=lambda cause: runtime.metrics.worker_deaths.labels(cause=cause).inc(),
    )
    for resource in (
        making,
        # Whoever searches first need not wait until all of them are read.
        Upkeep("catalogue", catalogue.refresh, catalogue.INTERVAL_SECONDS, clock),
        workers,
    ):
        await runtime.resources.enter_async_context(resource)
    return SearchServicer(foundation.database, catalogue, Tasks(foundation, workers))
