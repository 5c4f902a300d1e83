"""What a live server is asked before it may serve, and what it must answer: a proof's live leg."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxgraph.agreement import Tolerance
from packer_svc.fusion.probes import AnyArray, Inputs, Labels, Probe, spread

MOST_ROWS = 8
"""Of one kind of input."""

MOST_BYTES = 2 * 2**20
"""Of all inputs; larger ones are fewer, though at least one of each kind."""

LOWERED = Tolerance(atol=1e-2, rtol=1e-2)
"""For packs in fewer bits, which are held against their own run at the packer. Another processor,
or a GPU, rounds a value in between to the next step: one of eight bits moved a probability by up to
0.0007. A wrong graph is off by more than this."""


@dataclass(frozen=True, eq=False)
class Question:
    """Some inputs of one kind.

    Attributes:
        kind: "samples", "random" or "extreme".
        rows: Which of the probe's.
        inputs: One array per graph input by its name.
    """

    kind: str
    rows: Labels
    inputs: Inputs


def questions(shown: Sequence[Probe], names: Sequence[str]) -> list[Question]:
    """Takes some inputs of every kind, evenly spread.

    Args:
        shown: Inputs of every kind.
        names: The graph's inputs.
    """
    row_bytes = sum(shown[0].inputs[name][:1].nbytes for name in names)
    most = max(1, min(MOST_ROWS, MOST_BYTES // (row_bytes * len(shown))))
    taken = []
    for probe in shown:
        count = len(probe.inputs[names[0]])
        rows = spread(count, min(most, count))
        inputs = {name: probe.inputs[name][rows] for name in names}
        taken.append(Question(probe.name, rows, inputs))
    return taken


def smoke_test(
    asked: Sequence[Question], answers: Sequence[Mapping[str, AnyArray]], tolerance: Tolerance
) -> bytes:
    """An npz with "input/NAME", "output/NAME", the "kind" of each row, and the "tolerance".

    Args:
        asked: The inputs.
        answers: What each of them must give: one array per output by its name.
        tolerance: What counts as equal: the array is `[atol, rtol]`.
    """
    arrays = {
        f"input/{name}": np.concatenate([one.inputs[name] for one in asked])
        for name in asked[0].inputs
    }
    arrays |= {
        f"output/{name}": np.concatenate([one[name] for one in answers]) for name in answers[0]
    }
    arrays["kind"] = np.repeat([one.kind for one in asked], [len(one.rows) for one in asked])
    arrays["tolerance"] = np.array([tolerance.atol, tolerance.rtol])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
