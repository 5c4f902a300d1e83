"""Packs made by the library functions that the packer calls."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.corpus import Inputs
from benchmarks.paper.features import FeatureStore
from benchmarks.paper.sizes import Size, size_of
from onnxgraph.serialise import from_trusted_bytes
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.pack import build_pack
from packer_svc.fusion.trunks import trunks_of

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pack:
    """A pack.

    Attributes:
        graph: The ONNX file; its output is `probabilities`.
        size: What it costs.
        reads: What its head reads: features, class scores or both.
        seconds: What making it took, from the fragments on.
    """

    graph: bytes
    size: Size
    reads: str
    seconds: float


def make_pack(
    fragments: Sequence[bytes],
    inputs: Mapping[str, Inputs],
    labels: Labels,
    store: FeatureStore,
    seed: int,
) -> Pack:
    """Joins one fragment per class; equal ones are one branch.

    Args:
        fragments: In the order of the pack's classes.
        inputs: The samples of all of its classes.
        labels: Their places in the pack `(n,)`.
        store: What runs the fragments.
        seed: Of the head's folds.
    """
    start = time.perf_counter()
    trunks = trunks_of(fragments)
    graphs = [trunk.graph for trunk in trunks]
    outputs = store.outputs(graphs, inputs)
    serves = [trunk.places for trunk in trunks]
    head, report = fit_head(outputs, labels, len(fragments), HeadSpec(seed=seed), serves=serves)
    names = [f"class {place}" for place in range(len(fragments))]
    graph = build_pack(graphs, head, names)
    seconds = time.perf_counter() - start
    return Pack(graph, size_of(from_trusted_bytes(graph)), report.inputs.value, seconds)
