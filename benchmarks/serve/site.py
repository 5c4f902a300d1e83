"""A real Triton with the models of a benchmark."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.serve.clients import INPUT
from benchmarks.serve.contestants import Contestant
from onnxgraph.parity import Runner
from packer_svc.fusion import run_time as packer_run_time
from serving.client import TritonClient
from serving.embedded.environment import locate
from serving.embedded.server import EmbeddedTriton, TritonOptions
from serving.model_config import DataType, ModelConfig, TensorConfig
from serving.repository import ModelRepository
from serving.tuning import RunTime, Tuning
from serving.version_folder import LABELS_FILE, NewVersion, VersionManifest

OUTPUT = "probabilities"
MAX_BATCH = 64
ENVIRONMENT = Path(".triton")


@dataclass(frozen=True)
class Site:
    """A running Triton.

    Attributes:
        triton: The server.
        repository: Its models.
        client: May load and unload.
    """

    triton: EmbeddedTriton
    repository: ModelRepository
    client: TritonClient

    async def serve(self, name: str, contestant: Contestant, tuning: Tuning) -> None:
        """Loads a model.

        Raises:
            ServingError: Triton refuses it.
        """
        model, smoke = (self.repository.staging / f"{name}{end}" for end in ("", "-smoke"))
        model.write_bytes(contestant.graph)
        smoke.write_bytes(b"")
        shown = Runner(contestant.graph).run({INPUT: contestant.images[:1]})
        classes = shown[OUTPUT].shape[1]
        kind = DataType.UINT8 if contestant.in_bytes else DataType.FP32
        digests = [f"sha256:{sha256(path.read_bytes()).hexdigest()}" for path in (model, smoke)]
        config = ModelConfig(
            name=name,
            max_batch_size=MAX_BATCH,
            inputs=(TensorConfig(INPUT, kind, contestant.images.shape[1:]),),
            outputs=(TensorConfig(OUTPUT, DataType.FP32, (classes,), LABELS_FILE),),
            instance_group=tuning.instances,
            dynamic_batching=tuning.batching,
            threads=tuning.threads,
        )
        labels = tuple(f"class {place}" for place in range(classes))
        manifest = VersionManifest(1, f"packs/{name}", digests[0], digests[1])
        self.repository.add(name, NewVersion(manifest, model, smoke, config, labels))
        self.repository.activate(name, [1])
        await self.client.load(name)


@asynccontextmanager
async def running_site(folder: Path) -> AsyncIterator[Site]:
    """Starts a Triton over a new folder and stops it at the end.

    Raises:
        TritonSetupError: `make setup` has not made its environment, or it does not start.
    """
    repository = ModelRepository(folder)
    with repository.opened():
        options = TritonOptions(models=repository.models, backends=folder / "backends")
        triton = EmbeddedTriton(locate(ENVIRONMENT), options)
        await triton.prepare()
        await triton.start()
        try:
            async with TritonClient(triton.grpc_address, secret=triton.secret) as client:
                yield Site(triton, repository, client)
        finally:
            await triton.stop()


def run_time(one: Contestant) -> RunTime:
    """What the packer would measure of a model, as the place that serves it reads it."""
    found = packer_run_time.run_time(one.graph, {INPUT: one.images})
    return RunTime(found.single_seconds, found.batch_seconds)
