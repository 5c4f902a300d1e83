"""What fragments say about samples: features and class scores, by ONNX Runtime."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt

from onnxgraph.classifier import FEATURES, SCORES
from onnxgraph.parity import Runner
from packer_svc.fusion.errors import FusionError, FusionReason

AnyArray = npt.NDArray[np.generic]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FragmentFeatures:
    """A fragment's outputs on all samples of a pack; plain arrays, so they can be cached.

    A full model's features and scores fit in as well: the ensemble of originals is fitted by the
    same head.

    Attributes:
        features: `(n, f)` float32, the flattened input of the fragment's classifier.
        scores: `(n, c)` float32, its scores of the classes of its origin.
    """

    features: FloatArray
    scores: FloatArray

    def rows(self, chosen: npt.NDArray[np.int64]) -> "FragmentFeatures":
        """The outputs on the samples of the indices `chosen`."""
        return FragmentFeatures(self.features[chosen], self.scores[chosen])


class Fragment:
    """A fragment, loaded into ONNX Runtime when it is first run: on a GPU, or with one thread.

    Args:
        graph: ONNX with the outputs "features" and "scores".
    """

    def __init__(self, graph: bytes) -> None:
        self.graph = graph
        # Of its own: the lock of a cached property is one for all fragments.
        self._lock = Lock()
        self._loaded: Runner | None = None

    @cached_property
    def digest(self) -> str:
        """`<hex>` of its bytes' SHA-256."""
        return hashlib.sha256(self.graph).hexdigest()

    def _runner(self) -> Runner:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Runner:
        # Most of what a pack computes: every fragment over all samples.
        runner = Runner(self.graph, accelerated=True)
        missing = {FEATURES, SCORES} - set(runner.outputs)
        if missing:
            raise FusionError(
                FusionReason.FRAGMENTS_INCOMPATIBLE,
                f"A graph of the pack has no output {', '.join(sorted(missing))}.",
                advice='Give fragments: graphs with the outputs "features" and "scores".',
                metadata={"field": "outputs"},
            )
        return runner

    def run(self, inputs: Mapping[str, AnyArray], *, batch: int = 64) -> FragmentFeatures:
        """Runs it on samples, `batch` at a time.

        Args:
            inputs: One array per graph input by its name, first axis the sample.
            batch: Samples per run.

        Raises:
            GraphError: `GRAPH_NOT_EXECUTABLE` if ONNX Runtime cannot load or run the graph.
            FusionError: `FRAGMENTS_INCOMPATIBLE` if it has other outputs, `SAMPLES_MISMATCH` if
                the samples do not fit its inputs, `GRAPH_NOT_FINITE` if it gives NaN or infinity.
        """
        outputs = run_batches(self._runner(), inputs, (FEATURES, SCORES), batch=batch)
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                raise FusionError(
                    FusionReason.GRAPH_NOT_FINITE,
                    f'A fragment gives NaN or infinity in "{name}" on the samples.',
                    advice="Check the weights of its model and the range of the samples.",
                    metadata={"value": name},
                )
        return FragmentFeatures(outputs[FEATURES], outputs[SCORES])


def joined(parts: Sequence[FragmentFeatures]) -> FragmentFeatures:
    """What one fragment says about several sets of samples, as of one set."""
    return FragmentFeatures(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def fragment_features(
    graph: bytes, inputs: Mapping[str, AnyArray], *, batch: int = 64
) -> FragmentFeatures:
    """Runs a fragment on samples once; arguments and errors as of `Fragment.run`."""
    return Fragment(graph).run(inputs, batch=batch)


def run_batches(
    runner: Runner, inputs: Mapping[str, AnyArray], fetch: Sequence[str], *, batch: int
) -> dict[str, FloatArray]:
    """Runs all samples, `batch` at a time (the last run may have fewer), and joins the results.

    Args:
        runner: The loaded graph.
        inputs: One array per graph input by its name, first axis the sample; others are left aside.
        fetch: Output names; their first axis is the sample.
        batch: Samples per run, at least 1.

    Raises:
        GraphError: `GRAPH_NOT_EXECUTABLE`.
        FusionError: `SAMPLES_MISMATCH`.
    """
    rows = sample_count(inputs, runner.inputs)
    parts = []
    for start in range(0, rows, batch):
        feed = {name: inputs[name][start : start + batch] for name in runner.inputs}
        parts.append(runner.run(feed, fetch))
    return {
        name: np.concatenate([np.asarray(part[name], dtype=np.float32) for part in parts])
        for name in fetch
    }


def sample_count(inputs: Mapping[str, AnyArray], names: Sequence[str]) -> int:
    """The number of samples that the arrays of all graph inputs `names` agree on, at least 1.

    Raises:
        FusionError: `SAMPLES_MISMATCH`.
    """
    missing = [name for name in names if name not in inputs]
    counts = {len(inputs[name]) for name in names if name in inputs}
    if missing or len(counts) != 1 or counts == {0}:
        found = f"no array {missing[0]!r}" if missing else f"{sorted(counts)} samples"
        raise FusionError(
            FusionReason.SAMPLES_MISMATCH,
            f"The samples do not fit the graph's inputs {', '.join(names)}: {found}.",
            advice="Give one array per input by its name, all with the same number of samples.",
            metadata={"array": missing[0] if missing else ""},
        )
    return counts.pop()
