"""A real request to the live Triton, held against the answers that the pack's proof stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from serving.client import TritonClient
from serving.errors import SmokeTestError

# Probabilities of two builds of ONNX Runtime differ by some float32 rounding, 1e-6 or so; a wrong
# file, input or label order differs by much more than this.
TOLERANCE = 1e-4

_Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class SmokeTest:
    """Inputs and the answers that they must give.

    Attributes:
        inputs: Every input of the pack by name, first axis the sample.
        answers: Stored outputs by name, first axis the sample.
    """

    inputs: Mapping[str, _Array]
    answers: Mapping[str, _Array]

    @property
    def samples(self) -> int:
        """The number of samples."""
        return len(next(iter(self.inputs.values())))

    def part(self, start: int, stop: int) -> SmokeTest:
        """The samples from `start` to before `stop`."""
        return SmokeTest(
            {name: array[start:stop] for name, array in self.inputs.items()},
            {name: array[start:stop] for name, array in self.answers.items()},
        )


def read_smoke_test(path: Path) -> SmokeTest:
    """Reads an npz with arrays named "input/NAME" and "output/NAME".

    Args:
        path: The file.

    Raises:
        SmokeTestError: The file has other arrays, none, or of unequal numbers of samples.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(f"the smoke test is no npz of plain arrays: {error}") from error
    groups: dict[str, dict[str, _Array]] = {"input": {}, "output": {}}
    for key, array in arrays.items():
        kind, _, name = key.partition("/")
        if kind not in groups or not name:
            raise _unreadable(f"the smoke test has an array named {key!r}")
        groups[kind][name] = array
    if not groups["input"] or not groups["output"]:
        raise _unreadable("the smoke test lacks inputs or answers")
    if len({array.shape[:1] for array in arrays.values()} | {()}) != 2:
        raise _unreadable("the arrays of the smoke test differ in their number of samples")
    return SmokeTest(groups["input"], groups["output"])


def read_probe(path: Path) -> SmokeTest:
    """The first sample of a smoke test; kept in memory, since a probe wants it every few seconds.

    Args:
        path: The file, as for `read_smoke_test`.

    Raises:
        SmokeTestError: As `read_smoke_test`.
    """
    return _first_sample(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _first_sample(path: Path, _modified_ns: int) -> SmokeTest:
    first = read_smoke_test(path).part(0, 1)
    # Copies, so that the views do not keep the whole file in memory.
    return SmokeTest(
        {name: array.copy() for name, array in first.inputs.items()},
        {name: array.copy() for name, array in first.answers.items()},
    )


async def run_smoke_test(
    triton: TritonClient, name: str, version: int, test: SmokeTest, *, batch: int
) -> float:
    """Asks one version of a model for all samples and compares.

    Args:
        triton: The live Triton.
        name: The model.
        version: The version to ask.
        test: What to ask and what to expect.
        batch: The largest batch of a request, at least 1.

    Returns:
        The largest absolute difference over all outputs.

    Raises:
        SmokeTestError: It is above `TOLERANCE`, not a number, or a shape differs.
        ServingError: The request failed.
    """
    largest = 0.0
    for start in range(0, test.samples, batch):
        part = test.part(start, start + batch)
        answer = await triton.infer(name, part.inputs, outputs=tuple(part.answers), version=version)
        for output, expected in part.answers.items():
            got = answer.outputs[output]
            largest = max(largest, _difference(got, expected, f"{name!r} version {version}"))
    return largest


def _difference(got: _Array, expected: _Array, what: str) -> float:
    if got.shape != expected.shape:
        raise SmokeTestError(
            f"{what} answers with shape {got.shape} instead of {expected.shape}",
            advice="Make the pack anew: its smoke test does not belong to its graph.",
        )
    difference = float(np.max(np.abs(got.astype(np.float64) - expected.astype(np.float64))))
    # Turned round, so that a difference that is not a number fails too.
    if not difference <= TOLERANCE:
        raise SmokeTestError(
            f"{what} differs by {difference:.3g} from the stored answers",
            advice="Compare ONNX Runtime's version in this Triton with the packer's.",
            metadata={"max_abs": f"{difference:.3g}"},
        )
    return difference


def _unreadable(message: str) -> SmokeTestError:
    return SmokeTestError(message, advice="Make the pack anew: its smoke test is damaged.")
