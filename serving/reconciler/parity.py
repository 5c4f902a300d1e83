"""How the answers of a live server compare with those that it must give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxgraph.agreement import Parity, Tolerance, parity_of

__all__ = ["LiveParity", "Parity", "Tolerance", "live_parity"]


@dataclass(frozen=True)
class LiveParity:
    """One output, on one kind of input.

    Attributes:
        inputs: "samples", "random" or "extreme".
        output: The output's name.
        rows: Inputs compared.
        parity: Distances, and whether they are within the tolerance.
        tolerance: What counted as equal.
    """

    inputs: str
    output: str
    rows: int
    parity: Parity
    tolerance: Tolerance


def live_parity(
    inputs: str,
    output: str,
    compared: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]],
    tolerance: Tolerance,
) -> LiveParity:
    """Compares by the rule of the packer's proof, number by number.

    Args:
        inputs: The kind of the inputs.
        output: The output's name.
        compared: What came and what was to come, first axis the row.
        tolerance: What counts as equal.
    """
    answers, expected = compared
    return LiveParity(
        inputs, output, len(expected), parity_of(answers, expected, tolerance), tolerance
    )
