"""The packer's composition root."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sliceandpack.packer.v1 import (
    cloning_pb2,
    deployments_pb2,
    deployments_pb2_grpc,
    packs_pb2,
    packs_pb2_grpc,
    reassembly_pb2,
)

from packer_svc.deployments.board import Board
from packer_svc.deployments.gate import Gate
from packer_svc.deployments.presence import Presence
from packer_svc.deployments.switches import Patience, Rules, Switches
from packer_svc.fold_slicer import FoldSlicer
from packer_svc.handlers.canary import CanaryHandlers
from packer_svc.handlers.clone import CloneMaker
from packer_svc.handlers.create_pack import PackHandlers
from packer_svc.handlers.deploy import DeploymentHandlers
from packer_svc.handlers.evaluate import Evaluations
from packer_svc.handlers.make_pack import Means, PackMaker
from packer_svc.handlers.reassemble import ReassemblyHandlers
from packer_svc.jobs import entries
from packer_svc.localising import Localiser
from packer_svc.ordered import OrderedWork
from packer_svc.references import HeldReferences
from packer_svc.resizing import Resizer
from packer_svc.servicer.deployments import DeploymentsServicer
from packer_svc.servicer.packs import PacksServicer
from packer_svc.settings import PackerSettings
from packer_svc.slicer_client import SlicerClient
from svckit.clients.channel import channel
from svckit.devices import known_device
from svckit.foundation import open_foundation, service
from svckit.lifecycle import Runtime
from svckit.operations.runner import Runner
from svckit.server import Service
from svckit.upkeep import Upkeep
from svckit.workers.warming import warming

MIGRATIONS = Path(__file__).with_name("migrations")


async def compose(settings: PackerSettings, runtime: Runtime) -> Sequence[Service]:
    """Opens what the packer stands on and returns its services.

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
    slicer_channel = await runtime.resources.enter_async_context(channel(settings.slicer))
    slicer = SlicerClient(slicer_channel, foundation.artifacts)
    held = HeldReferences(foundation.database, slicer, foundation.clock)
    references = Upkeep(
        "references", held.settle, HeldReferences.INTERVAL_SECONDS, foundation.clock
    )
    board = Board()
    here = Presence(foundation.database, board)
    # Nobody is connected to a process that has just begun.
    await here.settle()
    presence = Upkeep("presence", here.settle, here.INTERVAL_SECONDS, foundation.clock)
    gate = Gate(settings.acceptable_error)
    rules = Rules(Patience(settings.replica_seconds, settings.ready_seconds), gate)
    switches = Switches(foundation.database, board, foundation.clock, rules, runtime.stopping)
    features = settings.state_dir / "features"
    features.mkdir(exist_ok=True)
    means = Means(settings.worker_threads, features, settings.feature_cache_bytes)
    evaluations = Evaluations(foundation, FoldSlicer(slicer_channel, slicer))
    ordered = OrderedWork(foundation.database, slicer_channel)
    resizer = Resizer(slicer_channel, slicer, ordered)
    maker = PackMaker(foundation, slicer, held, resizer, means, evaluations)
    cloner = CloneMaker(foundation, slicer, Localiser(slicer_channel, ordered), maker)
    _register(
        foundation.runner,
        PackHandlers(foundation.database, maker, cloner, gate),
        DeploymentHandlers(foundation, board, switches),
    )
    reassembly = ReassemblyHandlers(foundation, slicer, maker, gate, features)
    foundation.runner.register(
        "ReassembleModel", reassembly.reassemble, reassembly_pb2.ReassembleModelRequest
    )
    _register_canaries(foundation.runner, CanaryHandlers(foundation, board, switches))
    for resource in (
        references,
        presence,
        Upkeep("ordered work", ordered.settle, ordered.INTERVAL_SECONDS, foundation.clock),
        Upkeep("switches", switches.settle, switches.INTERVAL_SECONDS, foundation.clock),
        foundation.runner,
    ):
        await runtime.resources.enter_async_context(resource)
    packs = PacksServicer(foundation, references, gate)
    add_packs = partial(packs_pb2_grpc.add_PacksServicer_to_server, packs)
    add_deployments = partial(
        deployments_pb2_grpc.add_DeploymentsServicer_to_server,
        DeploymentsServicer(foundation, board, presence, gate),
    )
    return (
        service(packs_pb2.DESCRIPTOR, "Packs", add_packs),
        service(deployments_pb2.DESCRIPTOR, "Deployments", add_deployments),
        *foundation.services(),
    )


def _register(runner: Runner, packs: PackHandlers, deploy: DeploymentHandlers) -> None:
    runner.register("CreatePack", packs.create, packs_pb2.CreatePackRequest)
    runner.register("AddClasses", packs.add, packs_pb2.AddClassesRequest)
    runner.register("RemoveClasses", packs.remove, packs_pb2.RemoveClassesRequest)
    runner.register("CloneClasses", packs.clone, cloning_pb2.CloneClassesRequest)
    # A switch waits for its replicas by itself: when it gives up, whoever asked is to know.
    create, update = (
        deployments_pb2.CreateDeploymentRequest,
        deployments_pb2.UpdateDeploymentRequest,
    )
    runner.register("CreateDeployment", deploy.create, create, retry=False)
    runner.register("UpdateDeployment", deploy.update, update, retry=False)


def _register_canaries(runner: Runner, canary: CanaryHandlers) -> None:
    start, promote = deployments_pb2.StartCanaryRequest, deployments_pb2.PromoteCanaryRequest
    runner.register("StartCanary", canary.start, start, retry=False)
    runner.register("PromoteCanary", canary.promote, promote, retry=False)
