"""Run a graph at several batch sizes and look at the shapes of its values."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxgraph.errors import GraphError
from onnxgraph.parity import Runner
from onnxgraph.passes.names import fresh_name
from onnxgraph.passes.weights_aside import large_weights, structure

BATCHES = (2, 3, 5)
"""Batch sizes at which graphs are observed and compared: coprime, so that products tell."""

Arrays = Mapping[str, npt.NDArray[np.generic]]


def random_inputs(model: ir.Model, batch: int, *, seed: int) -> Arrays:
    """Random inputs of one batch size: normal, or zeros and ones for integers.

    Args:
        model: A model with inputs `(batch, ...)`, all axes but the first of fixed size.
        batch: The number of samples.
        seed: The seed.
    """
    generator = np.random.default_rng(seed)
    inputs: dict[str, npt.NDArray[np.generic]] = {}
    for value in model.graph.inputs:
        assert value.name is not None
        assert value.shape is not None
        assert value.dtype is not None
        shape = (batch, *(size for size in value.shape[1:] if isinstance(size, int)))
        if value.dtype == ir.DataType.FLOAT:
            inputs[value.name] = generator.standard_normal(shape).astype(np.float32)
        else:
            inputs[value.name] = generator.integers(0, 2, shape).astype(value.dtype.numpy())
    return inputs


class GraphRunner:
    """A graph loaded into ONNX Runtime without a copy of its large weights: they are fed.

    Args:
        model: The graph, left as it is.
        without: Optimizers of ONNX Runtime that are left out.

    Raises:
        GraphError: `GRAPH_NOT_EXECUTABLE` if ONNX Runtime refuses the graph.
    """

    def __init__(self, model: ir.Model, *, without: Sequence[str] = ()) -> None:
        self._weights = {name: t.numpy() for name, t in large_weights(model.graph).items()}
        self._runner = Runner(structure(model).SerializeToString(), without=without)

    def run(self, inputs: Arrays, fetch: Sequence[str] | None = None) -> Arrays:
        """Runs the graph; `fetch` names the outputs wanted, all by default.

        Raises:
            GraphError: `GRAPH_NOT_EXECUTABLE` if the run fails.
        """
        return self._runner.run({**self._weights, **inputs}, fetch)


class Observer:
    """Observes shapes and small integer values of a graph with ONNX Runtime.

    Args:
        model: The graph, left as it is.
        shapes: Values whose shapes are wanted.
        values: Integer values that are wanted themselves.

    Raises:
        GraphError: `GRAPH_NOT_EXECUTABLE` if ONNX Runtime refuses the graph.
    """

    def __init__(self, model: ir.Model, shapes: Sequence[str], values: Sequence[str]) -> None:
        probe = model.clone()
        known = ir.convenience.create_value_mapping(probe.graph)
        taken: set[str | None] = set(known)
        self._names: dict[str, str] = {}
        for name in shapes:
            shape = ir.Value(
                name=fresh_name(f"{name}_shape", taken), type=ir.TensorType(ir.DataType.INT64)
            )
            probe.graph.append(ir.Node("", "Shape", [known[name]], outputs=[shape]))
            probe.graph.outputs.append(shape)
            self._names[name] = str(shape.name)
        for name in values:
            if not known[name].is_graph_output():
                probe.graph.outputs.append(known[name])
        self._model = probe
        self._values = tuple(values)
        self._runner = GraphRunner(probe)

    def observe(self, batch: int) -> tuple[dict[str, tuple[int, ...]], Arrays]:
        """The wanted shapes and values at one batch size, by value name.

        Raises:
            GraphError: `GRAPH_NOT_EXECUTABLE` if the graph does not run at this batch size.
        """
        inputs = random_inputs(self._model, batch, seed=batch)
        found = self._runner.run(inputs, (*self._names.values(), *self._values))
        shapes = {name: tuple(found[key].tolist()) for name, key in self._names.items()}
        return shapes, {name: found[name] for name in self._values}


def run_at(model: ir.Model, batches: Sequence[int]) -> None:
    """Runs the graph once at each of the batch sizes.

    Raises:
        GraphError: `GRAPH_NOT_EXECUTABLE` if ONNX Runtime refuses the graph or a run fails.
    """
    runner = GraphRunner(model)
    for batch in batches:
        runner.run(random_inputs(model, batch, seed=batch))


def runs_at(model: ir.Model, batches: Sequence[int]) -> bool:
    """Whether ONNX Runtime runs the graph at all the batch sizes."""
    try:
        run_at(model, batches)
    except GraphError:
        return False
    return True
