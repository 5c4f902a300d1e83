"""How long CreatePack and AddClasses take in a running market, by its own clients."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from google.longrunning.operations_pb2 import Operation
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.packer.v1 import packs_pb2_grpc

from benchmarks.demo.market import Market
from benchmarks.demo.services import running_services
from benchmarks.paper.bench import Bench
from benchmarks.paper.samples import Draw
from onnxgraph.serialise import to_bytes
from svckit.clients.channel import channel
from svckit.clients.operations import Operations
from svckit.clients.settings import ClientSettings

FEW = 5
MANY = 10
RANGE = "-2,2"
"""The values of the origins' pictures."""


@dataclass(frozen=True)
class Seconds:
    """Wall times by the client's clock, medians.

    Attributes:
        create: CreatePack of `FEW` fragments; fragments and samples are in the packer's cache, what
            they say about each other is not.
        add: AddClasses of one class to a pack of `MANY`.
    """

    create: float
    add: float


def measure(benches: Sequence[Bench], folder: Path, size: Sequence[str], repeats: int) -> Seconds:
    """Submits and slices the origins of several benches, then packs their classes.

    Args:
        benches: Of one task with different seeds: together they have more than `MANY` classes.
        folder: An empty folder for the services' state.
        size: Options of ``marketctl models slice``.
        repeats: Times of each kind.

    Raises:
        RuntimeError: A service does not start, or a command fails.
    """
    with running_services(folder) as addresses:
        market = Market(addresses)
        fragments: list[str] = []
        for number, bench in enumerate(benches):
            fragments += _stocked(market, bench, folder, f"s{number}", size)
        features = next(folder.rglob("packer/features"))
        return asyncio.run(_timed(addresses.packer, fragments, features, repeats))


def _stocked(
    market: Market, bench: Bench, folder: Path, prefix: str, size: Sequence[str]
) -> list[str]:
    """Submits and slices the origins of a bench; returns their fragments."""
    draw = Draw(bench.corpus, bench.setting.k, bench.setting.seed, 0)
    found = []
    for place, original in bench.originals.items():
        name = f"{prefix}-{place}"
        labels = [f"{prefix}-{bench.corpus.names[one]}" for one in original.recipe.classes]
        samples = draw.samples(original.recipe.classes, bench.input_name)
        graph, arrays = folder / f"{name}.onnx", folder / f"{name}.npz"
        graph.write_bytes(to_bytes(original.model))
        np.savez(arrays, allow_pickle=False, labels=samples.labels, **samples.inputs)
        market.run(
            *("models", "submit", str(graph), "--samples", str(arrays), "--id", name),
            *("--labels", ",".join(labels), "--image", bench.input_name, "--range", RANGE),
        )
        sliced = market.run("models", "slice", name, *size)
        found += [str(fragment["name"]) for fragment in sliced]
    return found


async def _timed(address: str, fragments: Sequence[str], features: Path, repeats: int) -> Seconds:
    async with channel(ClientSettings(address=address)) as connection:
        packs = packs_pb2_grpc.PacksStub(connection)
        operations = Operations(connection)
        # Fetches every fragment and all samples into the packer's cache, and warms its worker.
        many = await _made(operations, packs.CreatePack(_request(fragments[:MANY])))
        creating, adding = [], []
        for _ in range(repeats):
            await asyncio.to_thread(_empty, features)
            creating.append(await _seconds(operations, packs.CreatePack(_request(fragments[:FEW]))))
        for number in range(repeats):
            added = pb.AddClassesRequest(
                name=many.name, fragments=[pb.PackFragment(fragment=fragments[MANY + number])]
            )
            adding.append(await _seconds(operations, packs.AddClasses(added)))
    return Seconds(statistics.median(creating), statistics.median(adding))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


async def _made(operations: Operations, call: Awaitable[Operation]) -> pb.Pack:
    return await operations.result((await call).name, pb.Pack)


async def _seconds(operations: Operations, call: Awaitable[Operation]) -> float:
    start = time.perf_counter()
    await _made(operations, call)
    return time.perf_counter() - start


def _request(fragments: Sequence[str]) -> pb.CreatePackRequest:
    parts = [pb.PackFragment(fragment=name) for name in fragments]
    return pb.CreatePackRequest(pack=pb.Pack(fragments=parts))
