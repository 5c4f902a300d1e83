"""Do two graphs compute the same numbers? Measured by ONNX Runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from onnxgraph.errors import GraphError, GraphReason

_FATAL = 4

ort.disable_telemetry_events()


@dataclass(frozen=True)
class Parity:
    """How far two arrays of scores lie apart.

    Attributes:
        max_abs: max|a − b|.
        max_rel: max|a − b| / max|b|; b is the reference.
        cosine: Cosine of the angle between the flattened arrays; 1.0 if both are zero.
        top1: Share of rows whose largest entry is at the same place.
        passed: Whether max|a − b| ≤ atol + rtol · max|b|, all values finite and shapes equal.
    """

    max_abs: float
    max_rel: float
    cosine: float
    top1: float
    passed: bool


def compare(
    a: npt.NDArray[np.generic], b: npt.NDArray[np.generic], *, atol: float, rtol: float
) -> Parity:
    """Compares an array with its reference.

    The tolerance is against the largest entry of the reference, not entry by entry: rounding in a
    dot product scales with its terms, not with its result.

    Args:
        a: Array `(N, ...)`.
        b: The reference, of the same shape.
        atol: Absolute tolerance.
        rtol: Tolerance relative to max|b|.

    Returns:
        The distances; a difference in shape, NaN or infinity never passes.
    """
    if a.shape != b.shape or not a.size:
        return Parity(np.inf, np.inf, 0.0, 0.0, passed=False)
    left, right = a.astype(np.float64), b.astype(np.float64)
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return Parity(np.inf, np.inf, 0.0, 0.0, passed=False)
    max_abs = float(np.abs(left - right).max())
    scale = float(np.abs(right).max())
    return Parity(
        max_abs=max_abs,
        max_rel=max_abs / scale if scale else (0.0 if max_abs == 0 else np.inf),
        cosine=_cosine(left.ravel(), right.ravel()),
        top1=_top1(left, right),
        passed=max_abs <= atol + rtol * scale,
    )


def _cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norms == 0.0:
        return 1.0 if not a.any() and not b.any() else 0.0
    return float(a @ b) / norms


def _top1(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    rows = a.shape[0] if a.ndim else 1
    same = a.reshape(rows, -1).argmax(axis=1) == b.reshape(rows, -1).argmax(axis=1)
    return float(same.mean())


class Runner:
    """A graph loaded into ONNX Runtime (CPU, sequential), to be run several times.

    Args:
        data: The serialized model.
        threads: Intra-op threads.
        without: Optimizers of ONNX Runtime that are left out.
        optimised: Whether ONNX Runtime may rewrite the graph at all.

    Raises:
        GraphError: `GRAPH_NOT_EXECUTABLE` if ONNX Runtime refuses the graph.
    """

    def __init__(
        self,
        data: bytes,
        *,
        threads: int = 1,
        without: Sequence[str] = (),
        optimised: bool = True,
    ) -> None:
        options = ort.SessionOptions()
        if not optimised:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _FATAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(
                data,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=list(without),
            )
        except Exception as error:  # ONNX Runtime's exceptions share no base class.
            raise _not_executable("load", error) from error
        self.inputs: tuple[str, ...] = tuple(i.name for i in self._session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(o.name for o in self._session.get_outputs())

    def run(
        self, inputs: Mapping[str, npt.NDArray[np.generic]], fetch: Sequence[str] | None = None
    ) -> dict[str, npt.NDArray[np.generic]]:
        """Runs the graph.

        Args:
            inputs: One array per graph input, by name, first axis the sample.
            fetch: The outputs wanted, all by default.

        Returns:
            The outputs by name.

        Raises:
            GraphError: `GRAPH_NOT_EXECUTABLE` if the run fails.
        """
        names = list(self.outputs if fetch is None else fetch)
        try:
            values = self._session.run(names, dict(inputs))
        except Exception as error:  # ONNX Runtime's exceptions share no base class.
            raise _not_executable("run", error) from error
        return dict(zip(names, values, strict=True))


def run_onnx(
    data: bytes, inputs: Mapping[str, npt.NDArray[np.generic]], *, threads: int = 1
) -> dict[str, npt.NDArray[np.generic]]:
    """Runs a serialized graph once with ONNX Runtime on the CPU.

    Args:
        data: The serialized model.
        inputs: One array per graph input, by name, first axis the sample.
        threads: Intra-op threads.

    Returns:
        The outputs by name.

    Raises:
        GraphError: `GRAPH_NOT_EXECUTABLE` if ONNX Runtime cannot load or run the graph.
    """
    return Runner(data, threads=threads).run(inputs)


def _not_executable(verb: str, error: Exception) -> GraphError:
    text = str(error).strip().splitlines()
    return GraphError(
        GraphReason.GRAPH_NOT_EXECUTABLE,
        f"ONNX Runtime cannot {verb} the graph: {(text[0] if text else 'no detail')[:300]}",
        advice="Check that the exported file runs in ONNX Runtime on samples of your own.",
    )
