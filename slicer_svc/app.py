"""The slicer's composition root."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc

from slicer_svc.handlers.create_model import CreateModelHandler
from slicer_svc.handlers.create_plan import CreatePlanHandler
from slicer_svc.handlers.planning import Planning
from slicer_svc.handlers.predict_front import PredictFrontHandler
from slicer_svc.handlers.slice_model import SliceModelHandler
from slicer_svc.jobs import entries
from slicer_svc.servicer import ModelsServicer
from slicer_svc.settings import SlicerSettings
from svckit.devices import known_device
from svckit.foundation import open_foundation, service
from svckit.lifecycle import Runtime
from svckit.server import Service
from svckit.workers.warming import warming

MIGRATIONS = Path(__file__).with_name("migrations")


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
    add = partial(models_pb2_grpc.add_ModelsServicer_to_server, ModelsServicer(foundation))
    return (service(models_pb2.DESCRIPTOR, "Models", add), *foundation.services())
