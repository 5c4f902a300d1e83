"""Which models the blocks of a new network are taken from; which are left out, and why.

A request that names models means them: one that does not serve fails it. A request that names none
takes what the market has, and a model that was lost or cannot be cut is no reason to fail it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.packer.v1 import reassembly_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2

from packer_svc.convert.reassembly import MAX_MODELS
from packer_svc.slicer_client import SlicerClient
from packer_svc.store.network_failures import fed_otherwise, model_lost
from svckit.artifacts.digests import digest_from_name
from svckit.errors import DataLoss, NotFound, ResourceExhausted, ServiceError
from svckit.input_messages import decode_input
from svckit.input_spec import InputSpec

MOST_BYTES = 512 * 2**20
"""Of the graphs of a market's models together: a worker holds all of them at once, several times.
Models that a request names are not counted."""
MOST_MACS = 6 * 10**10
"""Of a market's models together, times their number: every block is tried behind every block of the
stage before, on up to 256 samples, and all of it within a worker's processor time."""
MOST_TOLD = 100
"""How many of those left out a pack names."""


@dataclass(frozen=True)
class BlockSources:
    """Models that blocks are taken from.

    Attributes:
        models: The models by name, each graph once.
        named: Whether the request names them.
        left_out: JSON of `ModelLeftOut` of the others that were looked at; of a request that names
            its models there are none.
    """

    models: tuple[models_pb2.Model, ...]
    named: bool
    left_out: tuple[dict[str, str], ...] = ()

    @property
    def digests(self) -> list[str]:
        """The artifacts that are read of them."""
        return [digest for model in self.models for digest in _files_of(model)]

    def without(self, lost: Mapping[str, NotFound | DataLoss]) -> Self:
        """Leaves out those of which the slicer has lost a file.

        Args:
            lost: Errors by digest.

        Raises:
            NotFound: RESOURCE_NOT_FOUND, a file of a model that was named is gone.
            DataLoss: DIGEST_MISMATCH, it is damaged.
        """
        if self.named:
            refuse_lost(self.models, lost)
        gone = [model for model in self.models if lost.keys() & _files_of(model)]
        told = [_left_out(one, model_lost(one.name, _cause(one, lost))) for one in gone]
        kept = tuple(model for model in self.models if model not in gone)
        return replace(self, models=kept, left_out=(*told, *self.left_out))

    def for_worker(self, files: Mapping[str, Path]) -> dict[str, Any]:
        """What a job is told of them.

        Args:
            files: Their artifacts by digest.
        """
        return {
            "models": [_job_model(model, files) for model in self.models],
            "named": self.named,
            "left_out": self.left_out[:MOST_TOLD],
            "left_out_count": len(self.left_out),
        }


async def block_sources(
    slicer: SlicerClient,
    request: pb.ReassembleModelRequest,
    known: Sequence[models_pb2.Model],
    inputs: Sequence[InputSpec],
) -> BlockSources:
    """Finds the models that blocks are taken from.

    Args:
        slicer: Where they are.
        request: What was asked for.
        known: The models of the classes.
        inputs: What these are fed.

    Raises:
        NotFound: There is no model of a name.
        InvalidArgument: FRAGMENTS_INCOMPATIBLE, a model that was named is fed otherwise.
        Unavailable: SLICER_UNAVAILABLE.
    """
    if request.models:
        named = await slicer.models(list(request.models))
        for model in named:
            if not _fed_so(model, inputs):
                raise fed_otherwise(known[0].name, model.name)
        return BlockSources(_different(named), named=True)
    taken: list[models_pb2.Model] = []
    left_out: list[dict[str, str]] = []
    async for model in _market(slicer, known):
        why = _refusal(model, taken, inputs)
        if why is None:
            taken.append(model)
        else:
            left_out.append(_left_out(model, why))
        if len(_different(taken)) == MAX_MODELS:
            break
    return BlockSources(_different(taken), named=False, left_out=tuple(left_out))


def refuse_lost(
    models: Iterable[models_pb2.Model], lost: Mapping[str, NotFound | DataLoss]
) -> None:
    """Refuses models of which the slicer has lost a file.

    Raises:
        NotFound: RESOURCE_NOT_FOUND, it is gone.
        DataLoss: DIGEST_MISMATCH, it is damaged.
    """
    for model in models:
        if lost.keys() & _files_of(model):
            raise model_lost(model.name, _cause(model, lost))


async def _market(
    slicer: SlicerClient, known: Sequence[models_pb2.Model]
) -> AsyncIterator[models_pb2.Model]:
    """The models of the classes, then all others, the newest first."""
    for model in known:
        yield model
    names = {model.name for model in known}
    async for model in slicer.newest_models():
        if model.name not in names:
            yield model


def _different(models: Iterable[models_pb2.Model]) -> tuple[models_pb2.Model, ...]:
    """Of models with one graph the first; by name, so that the order in which they came is none."""
    ordered = sorted(models, key=lambda model: model.name, reverse=True)
    different = {model.normalised_graph.name: model for model in ordered}
    return tuple(sorted(different.values(), key=lambda model: model.name))


def _fed_so(model: models_pb2.Model, inputs: Sequence[InputSpec]) -> bool:
    return as_fed(map(decode_input, model.inputs)) == as_fed(inputs)


def as_fed(inputs: Iterable[InputSpec]) -> tuple[InputSpec, ...]:
    """Returns inputs without what no graph sees: equal where the same may be fed.

    Args:
        inputs: A model's, in its order.
    """
    return tuple(spec.as_fed() for spec in inputs)


def _files_of(model: models_pb2.Model) -> set[str]:
    return {digest_from_name(model.normalised_graph.name), digest_from_name(model.samples.name)}


def _cause(model: models_pb2.Model, lost: Mapping[str, NotFound | DataLoss]) -> NotFound | DataLoss:
    return next(lost[digest] for digest in sorted(_files_of(model)) if digest in lost)


def _refusal(
    model: models_pb2.Model, taken: Sequence[models_pb2.Model], inputs: Sequence[InputSpec]
) -> ServiceError | None:
    """Why a model is not taken with those that were taken before; the first always is."""
    if not _fed_so(model, inputs):
        return fed_otherwise(taken[0].name, model.name)
    all_of = _different([*taken, model])
    advice = "Name the models that blocks are to be taken from."
    size = sum(one.normalised_graph.size_bytes for one in all_of)
    if taken and size > MOST_BYTES:
        return ResourceExhausted(
            reasons.ERROR_REASON_WORKER_MEMORY,
            f"With it the graphs would have {size} bytes; of models that nobody named at most "
            f"{MOST_BYTES} are taken.",
            advice=advice,
        )
    macs = len(all_of) * sum(one.macs for one in all_of)
    if taken and macs > MOST_MACS:
        return ResourceExhausted(
            reasons.ERROR_REASON_WORKER_CPU_TIME,
            f"With it {len(all_of)} models would have {macs} MACs a sample, times their number; of "
            f"models that nobody named at most {MOST_MACS} are taken.",
            advice=advice,
        )
    return None


def _left_out(model: models_pb2.Model, error: ServiceError) -> dict[str, str]:
    return {"model": model.name, "reason": error.reason_name, "message": error.message}


def _job_model(model: models_pb2.Model, files: Mapping[str, Path]) -> dict[str, Any]:
    digest = digest_from_name(model.normalised_graph.name)
    return {
        "name": model.name,
        "graph": str(files[digest]),
        "samples": str(files[digest_from_name(model.samples.name)]),
        "graph_digest": digest,
        "licence": model.licence,
    }
