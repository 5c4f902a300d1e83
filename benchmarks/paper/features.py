"""Features and class scores of graphs on samples and test examples, by ONNX Runtime."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.paper.corpus import Inputs
from benchmarks.paper.storage import load_arrays, save_arrays
from onnxgraph.parity import Runner
from packer_svc.fusion.features import FragmentFeatures, fragment_features, run_batches
from packer_svc.fusion.pack import PROBABILITIES

BATCH = 256
"""Examples of one run."""


class FeatureStore:
    """Runs graphs on examples, several at once, and keeps what is asked for again on disk.

    Args:
        folder: Where outputs are kept, by the hash of the graph and of its inputs.
        threads: Graphs that run at once, each on one thread.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder = folder
        self._threads = threads

    def outputs(
        self, graphs: Sequence[bytes], inputs: Mapping[str, Inputs]
    ) -> list[FragmentFeatures]:
        """Features and class scores of each graph, computed anew."""
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(lambda graph: _outputs(graph, inputs), graphs))

    def kept_outputs(
        self, graphs: Sequence[bytes], inputs: Mapping[str, Inputs]
    ) -> list[FragmentFeatures]:
        """The same, taken from the folder where they have been computed before.

        For the originals: their outputs on test examples serve every draw and every budget.
        """
        examples = _digest_of(inputs)
        paths = [self._folder / f"{_digest(graph)}-{examples}.npz" for graph in graphs]
        missing = [place for place, path in enumerate(paths) if not path.exists()]
        computed = self.outputs([graphs[place] for place in missing], inputs)
        for place, found in zip(missing, computed, strict=True):
            save_arrays(paths[place], {"features": found.features, "scores": found.scores})
        arrays = [load_arrays(path) for path in paths]
        return [FragmentFeatures(part["features"], part["scores"]) for part in arrays]


def guesses(pack: bytes, inputs: Mapping[str, Inputs], threads: int) -> np.ndarray:
    """The place of the likeliest class `(n,)` by a pack, int64."""
    found = run_batches(Runner(pack, threads=threads), inputs, (PROBABILITIES,), batch=BATCH)
    return np.asarray(found[PROBABILITIES].argmax(axis=1), dtype=np.int64)


def _outputs(graph: bytes, inputs: Mapping[str, Inputs]) -> FragmentFeatures:
    return fragment_features(graph, inputs, batch=BATCH)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def _digest_of(inputs: Mapping[str, Inputs]) -> str:
    found = hashlib.sha256()
    for name in sorted(inputs):
        found.update(name.encode())
        found.update(np.ascontiguousarray(inputs[name]).tobytes())
    return found.hexdigest()[:24]
