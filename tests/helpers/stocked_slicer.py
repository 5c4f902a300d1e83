"""A real slicer with a few sliced models of digits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from sliceandpack.slicer.v1 import input_spec_pb2, models_pb2, models_pb2_grpc, plans_pb2

from tests.helpers.digit_models import digit_model, large_digit_model
from tests.helpers.market_client import SlicerStubs
from tests.helpers.processes import ServiceProcess

MODELS = {"low": (0, 1, 2), "mixed": (2, 3), "plain": (4, 5), "large": (4, 5), "spare": (4, 5)}
"""Digits by model. "low" and "mixed" have a label in common, "plain" declares plain numbers,
"large" reads larger pictures in bytes, channels last, and a test may delete "spare"."""


@dataclass(frozen=True)
class StockedSlicer:
    """A running slicer.

    Attributes:
        process: Its process.
        fragments: Names of fragments by "model/label".
    """

    process: ServiceProcess
    fragments: dict[str, str]

    def named(self, *keys: str) -> list[str]:
        """Returns the names of fragments."""
        return [self.fragments[key] for key in keys]

    def cut_together(self, model: str, labels: Sequence[str], beta: float = 0.5) -> list[str]:
        """Slices classes of a model together; returns the names of their fragments."""
        with grpc.insecure_channel(self.process.address) as channel:
            slicer = SlicerStubs(channel)
            plan = slicer.plan(model, plans_pb2.Recipe(beta=beta, views=1))
            return slicer.slice(model, plan.name, labels, joint=True)

    def add(self, name: str, digits: tuple[int, ...], beta: float, *, width: int = 4) -> list[str]:
        """Submits a model of digits and slices all of its classes.

        Args:
            name: The model's id.
            digits: What it tells apart.
            beta: The share of the units that every group keeps.
            width: Channels of its first convolution.

        Returns:
            The names of its fragments.
        """
        with grpc.insecure_channel(self.process.address) as channel:
            slicer = SlicerStubs(channel)
            model = slicer.submit(name, digit_model(digits, width=width))
            plan = slicer.plan(name, plans_pb2.Recipe(beta=beta, views=1))
            return slicer.slice(name, plan.name, model.labels)

    async def holders(self, model: str) -> dict[str, str]:
        """Returns who holds references on a model, by the reference's name."""
        async with grpc.aio.insecure_channel(self.process.address) as channel:
            stub: models_pb2_grpc.ModelsAsyncStub = models_pb2_grpc.ModelsStub(channel)
            request = models_pb2.ListReferencesRequest(parent=f"models/{model}")
            found = await stub.ListReferences(request)
        return {one.name: one.holder for one in found.references}


@contextmanager
def stocked_slicer(folder: Path) -> Iterator[StockedSlicer]:
    """Runs a slicer with all models, all of their classes sliced."""
    with ServiceProcess("slicer_svc", folder).running() as process:
        with grpc.insecure_channel(process.address) as channel:
            slicer = SlicerStubs(channel)
            fragments = [_stocked(slicer, name, digits) for name, digits in MODELS.items()]
        yield StockedSlicer(process, {key: name for one in fragments for key, name in one.items()})


def _stocked(slicer: SlicerStubs, name: str, digits: tuple[int, ...]) -> dict[str, str]:
    """Submits a model and slices all of its classes; returns the fragments by "model/label"."""
    large = name == "large"
    model = large_digit_model(digits) if large else digit_model(digits, width=4)
    request = slicer.submit_request(name, model)
    if name == "plain":
        request.model.inputs[0].tensor.SetInParent()
    if large:
        request.model.inputs[0].image.value_range.maximum = 255.0
        request.model.inputs[0].image.layout = input_spec_pb2.IMAGE_LAYOUT_NHWC
    slicer.operations.result(slicer.models.CreateModel(request), models_pb2.Model)
    plan = slicer.plan(name, plans_pb2.Recipe(beta=0.5, views=1))
    fragments = slicer.slice(name, plan.name, model.labels)
    return {f"{name}/{label}": found for label, found in zip(model.labels, fragments, strict=True)}
