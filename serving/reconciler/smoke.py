"""Real requests to the live Triton, held against the answers that came with the pack's proof."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from serving.client import TritonClient
from serving.errors import SmokeTestError
from serving.reconciler.parity import LiveParity, Tolerance, live_parity

SAMPLES = "samples"
"""The kind of all inputs of a pack that was made before there were others."""

_Array = npt.NDArray[np.generic]


class OtherAnswersError(SmokeTestError):
    """The live answers could be compared, and are not the proof's.

    Attributes:
        parity: How they compare.
    """

    def __init__(self, what: str, parity: tuple[LiveParity, ...]) -> None:
        self.parity = parity
        failed = [case for case in parity if not case.parity.passed]
        worst = max(failed, key=lambda case: case.parity.max_abs)
        difference = f"{worst.parity.max_abs:.3g}"
        super().__init__(
            f"{what} differs by {difference} from the proof's answers on {worst.inputs} inputs "
            f"({worst.output})",
            advice="Compare this Triton's ONNX Runtime and processor with the packer's.",
            metadata={
                "leg": "live",
                "inputs": worst.inputs,
                "output": worst.output,
                "max_abs": difference,
            },
        )


@dataclass(frozen=True)
class SmokeTest:
    """Inputs and the answers that they must give.

    Attributes:
        inputs: Every input of the pack by name, first axis the row.
        answers: Stored outputs by name, first axis the row.
        kinds: The kind of each row: "samples", "random" or "extreme".
        tolerance: What counts as the stored answers.
    """

    inputs: Mapping[str, _Array]
    answers: Mapping[str, _Array]
    kinds: tuple[str, ...]
    tolerance: Tolerance

    def part(self, rows: npt.NDArray[np.intp]) -> SmokeTest:
        """The rows of the indices given; copies, which do not keep the whole in memory."""
        return SmokeTest(
            {name: array[rows] for name, array in self.inputs.items()},
            {name: array[rows] for name, array in self.answers.items()},
            tuple(self.kinds[row] for row in rows),
            self.tolerance,
        )

    def by_kind(self) -> dict[str, SmokeTest]:
        """Its parts, in the order in which their kinds come first."""
        kinds = np.array(self.kinds)
        return {
            kind: self.part(np.flatnonzero(kinds == kind)) for kind in dict.fromkeys(self.kinds)
        }


def read_smoke_test(path: Path) -> SmokeTest:
    """Reads an npz with arrays named "input/NAME" and "output/NAME", "kind" and "tolerance".

    A pack that was made before there were kinds has neither of the last two.

    Args:
        path: The file.

    Raises:
        SmokeTestError: The file has other arrays, none, or of unequal numbers of rows.
    """
    try:
        # Opened here: of a damaged file `np.load` leaves its own open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(f"the smoke test is no npz of plain arrays: {error}") from error
    tolerance = _tolerance(arrays.pop("tolerance", None))
    kinds = arrays.pop("kind", None)
    groups: dict[str, dict[str, _Array]] = {"input": {}, "output": {}}
    for key, array in arrays.items():
        group, _, name = key.partition("/")
        if group not in groups or not name:
            raise _unreadable(f"the smoke test has an array named {key!r}")
        groups[group][name] = array
    if not groups["input"] or not groups["output"]:
        raise _unreadable("the smoke test lacks inputs or answers")
    rows = {array.shape[:1] for array in arrays.values()}
    if len(rows) != 1 or rows <= {(), (0,)} or (kinds is not None and {kinds.shape} != rows):
        raise _unreadable("the arrays of the smoke test differ in their number of rows")
    ((count,),) = rows
    named = (SAMPLES,) * count if kinds is None else tuple(map(str, kinds))
    return SmokeTest(groups["input"], groups["output"], named, tolerance)


def _tolerance(given: _Array | None) -> Tolerance:
    if given is None:
        return Tolerance()
    pair = given.astype(np.float64) if np.issubdtype(given.dtype, np.floating) else np.empty(0)
    if pair.shape != (2,) or not (pair >= 0).all():
        raise _unreadable("the smoke test's tolerance is no pair of numbers")
    return Tolerance(*map(float, pair))


class Probes:
    """The first sample of every smoke test in use, in memory: it is wanted every few seconds."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[int, SmokeTest]] = {}

    def read(self, path: Path) -> SmokeTest:
        """Returns the first sample.

        Args:
            path: The file, as for `read_smoke_test`.

        Raises:
            SmokeTestError: As `read_smoke_test`.
        """
        try:
            written = path.stat().st_mtime_ns
        except OSError as error:
            raise _unreadable(f"the smoke test cannot be read: {error.strerror}") from error
        kept = self._kept.get(path)
        if kept is None or kept[0] != written:
            self._kept = {path: one for path, one in self._kept.items() if path.exists()}
            kept = self._kept[path] = (written, read_smoke_test(path).part(np.arange(1)))
        return kept[1]


async def run_smoke_test(
    triton: TritonClient, name: str, version: int, test: SmokeTest, *, batch: int
) -> tuple[LiveParity, ...]:
    """Asks one version of a model for all rows and compares, each kind and output by itself.

    Args:
        triton: The live Triton.
        name: The model.
        version: The version to ask.
        test: What to ask and what to expect.
        batch: The largest batch of a request, at least 1.

    Raises:
        OtherAnswersError: They are not the stored answers.
        ServingError: The request failed.
    """
    found = []
    for kind, part in test.by_kind().items():
        answers = await ask(triton, name, version, part, batch=batch)
        found += [
            live_parity(kind, output, (answers[output], expected), test.tolerance)
            for output, expected in part.answers.items()
        ]
    if not all(case.parity.passed for case in found):
        raise OtherAnswersError(f"{name!r} version {version}", tuple(found))
    return tuple(found)


async def ask(
    triton: TritonClient, name: str, version: int | None, test: SmokeTest, *, batch: int
) -> dict[str, _Array]:
    """Returns what a model answers to all inputs of a smoke test, by output.

    Args:
        triton: The live Triton.
        name: The model.
        version: The version to ask; None for the one that clients get.
        test: What to ask, and which outputs.
        batch: The largest batch of a request, at least 1.

    Raises:
        ServingError: The request failed.
    """
    outputs = tuple(test.answers)
    parts = []
    for start in range(0, len(test.kinds), batch):
        inputs = {name: array[start : start + batch] for name, array in test.inputs.items()}
        parts.append((await triton.infer(name, inputs, outputs=outputs, version=version)).outputs)
    return {output: np.concatenate([part[output] for part in parts]) for output in outputs}


def _unreadable(message: str) -> SmokeTestError:
    return SmokeTestError(message, advice="Make the pack anew: its smoke test is damaged.")
