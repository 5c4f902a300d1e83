"""``marketctl selftest``: the whole walk on made data, against the services that are given."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeVar

import numpy as np
import typer
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.packer.v1 import deployments_pb2, packs_pb2
from sliceandpack.slicer.v1 import models_pb2, plans_pb2

from marketctl.command import command
from marketctl.made_models import MadeModel, made_model
from marketctl.planning import planned
from marketctl.predict import OUTPUT
from marketctl.session import Session
from svckit.clients.artifacts import upload
from svckit.clients.patience import answer
from svckit.errors import Internal, NotFound, ServiceError

_T = TypeVar("_T")

# Made of well separated clusters: anything less is no matter of chance.
_LEAST_ACCURACY: Final = 0.9
_BETA: Final = 0.5
_SLICED: Final = 0
"""The place of the class that is sliced out of each model."""


def add_to(app: typer.Typer) -> None:
    """Adds the command.

    Args:
        app: The application.
    """
    command(app, "selftest")(selftest)


async def selftest(
    session: Session,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the models, the pack and the deployment there.")
    ] = False,
) -> None:
    """Submit, slice, pack, deploy and predict on made data; take it all away again.

    Says what it does and how long it took. What is made has names that begin with `selftest-`.
    """
    async with AsyncExitStack() as made:
        walk = _Walk(session, made, f"selftest-{secrets.token_hex(4)}", keep=keep)
        share = await walk.run()
    if session.printer.is_table:
        session.printer.line(f"All of it works; {share:.0%} of the predictions are right.")
    else:
        session.printer.data({"accuracy": share, "seconds": walk.seconds})


@dataclass
class _Walk:
    """One walk from models to predictions.

    Attributes:
        session: Reaches the services.
        made: What has to be taken away again, last first.
        name: What the names of all that is made begin with.
        keep: Leaves what was made.
        seconds: How long each step took.
    """

    session: Session
    made: AsyncExitStack
    name: str
    keep: bool
    seconds: dict[str, float] = field(default_factory=dict)

    async def run(self) -> float:
        """Walks; returns the share of predictions that are right.

        Raises:
            ServiceError: A step failed, or predictions are wrong.
        """
        models = [made_model(letter, seed) for seed, letter in enumerate("ab")]
        for letter, model in zip("ab", models, strict=True):
            await self._step(f"submit {letter}", self._submitted(letter, model))
        fragments = [
            await self._step(f"slice {letter}", self._sliced(letter, model))
            for letter, model in zip("ab", models, strict=True)
        ]
        await self._step("pack", self._packed(fragments))
        await self._step("deploy", self._deployed())
        return await self._step("predict", self._predicted(models))

    async def _step(self, title: str, work: Awaitable[_T]) -> _T:
        begin = time.monotonic()
        found = await work
        self.seconds[title] = round(time.monotonic() - begin, 3)
        if self.session.printer.is_table:
            self.session.printer.line(f"{title:10}{self.seconds[title]:8.2f} s")
        return found

    async def _submitted(self, letter: str, model: MadeModel) -> None:
        slicer = self.session.slicer
        request = models_pb2.CreateModelRequest(
            model_id=f"{self.name}-{letter}",
            model=models_pb2.Model(
                display_name="Made by marketctl selftest",
                labels=model.labels,
                graph=await upload(slicer.channel, model.graph),
                samples=await upload(slicer.channel, model.samples),
            ),
        )
        name = f"models/{request.model_id}"
        # Where waiting breaks off, it may be there all the same.
        self._later(
            lambda: self.session.models.DeleteModel(
                models_pb2.DeleteModelRequest(name=name, force=True)
            )
        )
        call = self.session.models.CreateModel(request)
        await self.session.result(slicer, call, models_pb2.Model, f"Checking {letter}")

    async def _sliced(self, letter: str, model: MadeModel) -> str:
        name = f"models/{self.name}-{letter}"
        plan = await planned(self.session, name, plans_pb2.Recipe(beta=_BETA))
        request = models_pb2.SliceModelRequest(
            name=name, plan=plan.name, labels=[model.labels[_SLICED]]
        )
        call = self.session.models.SliceModel(request)
        kind = models_pb2.SliceModelResponse
        found = await self.session.result(self.session.slicer, call, kind, f"Slicing {letter}")
        return str(found.fragments[0].name)

    async def _packed(self, fragments: list[str]) -> None:
        parts = [packs_pb2.PackFragment(fragment=fragment) for fragment in fragments]
        request = packs_pb2.CreatePackRequest(
            pack_id=self.name, pack=packs_pb2.Pack(fragments=parts)
        )
        name = f"packs/{self.name}"
        self._later(lambda: self.session.packs.DeletePack(packs_pb2.DeletePackRequest(name=name)))
        call = self.session.packs.CreatePack(request)
        await self.session.result(self.session.packer, call, packs_pb2.Pack, "Packing")

    async def _deployed(self) -> None:
        request = deployments_pb2.CreateDeploymentRequest(
            deployment=deployments_pb2.Deployment(pack=f"packs/{self.name}"),
            deployment_id=self.name,
        )
        name = f"deployments/{self.name}"
        self._later(
            lambda: self.session.deployments.DeleteDeployment(
                deployments_pb2.DeleteDeploymentRequest(name=name)
            )
        )
        call = self.session.deployments.CreateDeployment(request)
        kind = deployments_pb2.Deployment
        await self.session.result(self.session.packer, call, kind, "Deploying")

    async def _predicted(self, models: list[MadeModel]) -> float:
        from serving.client import TritonClient

        right: list[bool] = []
        async with TritonClient(self.session.settings.triton) as triton:
            for model in models:
                rows = model.unseen[_SLICED]
                found = await triton.classify(
                    self.name, {model.input: rows}, output=OUTPUT, class_count=1
                )
                right += [row[0].label == model.labels[_SLICED] for row in found.rows]
        share = float(np.mean(right))
        if share < _LEAST_ACCURACY:
            raise Internal(
                reasons.ERROR_REASON_UNSPECIFIED,
                f"Only {share:.0%} of the predictions are right.",
                advice="Run it again with --keep, and look at the pack's report.",
            )
        return share

    def _later(self, delete: Callable[[], Awaitable[object]]) -> None:
        """Has something taken away at the end, whatever happens until then."""
        if self.keep:
            return

        async def run() -> None:
            try:
                await answer(delete())
            except NotFound:
                pass  # It was never made.
            except ServiceError as error:
                # What went wrong before matters more than what is left over.
                self.session.printer.warn(f"Something of {self.name} is left: {error}")

        self.made.push_async_callback(run)
