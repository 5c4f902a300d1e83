"""How a canary does beside its deployment on this replica."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serving.errors import ModelNotServedError
from serving.reconciler.parity import Tolerance, live_parity
from serving.reconciler.site import Site
from serving.reconciler.smoke import SAMPLES, SmokeTest, ask, read_smoke_test
from serving.traffic import Traffic
from serving.version_folder import SMOKE_TEST_FILE

OUTPUT = "probabilities"


@dataclass(frozen=True)
class Agreement:
    """How far two packs agree on the same inputs.

    Attributes:
        rows: Inputs that both were asked.
        top1: The share on which both name the same class.
        max_abs: The largest difference of a probability.
    """

    rows: int
    top1: float
    max_abs: float


@dataclass(frozen=True)
class Comparison:
    """What is known of a canary and its deployment.

    Attributes:
        start: Since when requests are counted, seconds since 1970.
        deployment: What was asked of the deployment.
        canary: What was asked of the canary.
        agreement: How far they agree on both packs' stored samples; None where clients would
            notice the difference.
    """

    start: float
    deployment: Traffic
    canary: Traffic
    agreement: Agreement | None


def smoke_test_path(site: Site, name: str) -> Path:
    """Returns where the smoke test lies of the version that clients of a model get.

    Raises:
        ModelNotServedError: There is no such version.
    """
    return site.repository.version_folder(name, _served(site, name)) / SMOKE_TEST_FILE


def comparable(site: Site, *names: str) -> bool:
    """Whether clients would notice no difference between models but in their answers.

    Raises:
        ModelNotServedError: One of them has no version.
    """
    return len({site.repository.signature(name, _served(site, name)) for name in names}) == 1


def _new_samples(test: SmokeTest, seen: set[bytes]) -> SmokeTest:
    """The samples that were not seen yet, for packs of the same models keep the same ones."""
    kinds = test.by_kind()
    samples = kinds.get(SAMPLES) or next(iter(kinds.values()))
    new = []
    for row in range(len(samples.kinds)):
        bytes_of_row = b"".join(array[row].tobytes() for array in samples.inputs.values())
        if bytes_of_row not in seen:
            seen.add(bytes_of_row)
            new.append(row)
    return samples.part(np.array(new, dtype=np.intp))


def _served(site: Site, name: str) -> int:
    active = site.repository.active(name)
    if not active:
        raise ModelNotServedError(
            f"{name!r} is not served", advice="Wait until it is loaded, or end its canary."
        )
    return active[-1]


async def agreement(site: Site, deployment: str, canary: str) -> Agreement:
    """Asks both models the samples that both packs keep with their proofs.

    Args:
        site: The Triton.
        deployment: The deployment's model.
        canary: The canary's, with the same signature.

    Raises:
        ServingError: One of them does not answer.
    """
    rows, same, largest = 0, 0.0, 0.0
    seen: set[bytes] = set()
    for name in (deployment, canary):
        test = await asyncio.to_thread(read_smoke_test, smoke_test_path(site, name))
        samples = _new_samples(test, seen)
        if not samples.kinds:
            continue
        batch = site.profile.max_batch_size
        theirs, ours = [
            await ask(site.triton, asked, None, samples, batch=batch)
            for asked in (deployment, canary)
        ]
        found = live_parity(SAMPLES, OUTPUT, (ours[OUTPUT], theirs[OUTPUT]), Tolerance())
        rows += found.rows
        same += found.rows * found.parity.top1
        largest = max(largest, found.parity.max_abs)
    return Agreement(rows, same / rows, largest)
