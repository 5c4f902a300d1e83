"""Do two graphs compute the same numbers? Measured by ONNX Runtime."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from onnxgraph.agreement import Parity, compare
from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.session import open_session

__all__ = ["Parity", "Runner", "compare", "run_onnx"]

_FATAL = 4


class Runner:
    """A graph loaded into ONNX Runtime (sequential), to be run several times.

    Args:
        data: The serialized model.
        threads: Intra-op threads.
        without: Optimizers of ONNX Runtime that are left out.
        optimised: Whether ONNX Runtime may rewrite the graph at all.
        accelerated: Whether it runs on a GPU where there is one; on the processor otherwise.

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
        accelerated: bool = False,
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
            self._session = open_session(data, options, without=without, accelerated=accelerated)
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
