"""Parts of graphs one behind the other."""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.chain import Link, chain
from onnxgraph.normalise import normalise
from onnxgraph.parity import run_onnx
from onnxgraph.serialise import to_bytes
from tests.helpers.graph_texts import DENSE, parse

INPUT = {"x": np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)}


def run(model: ir.Model) -> dict[str, NDArray[np.float32]]:
    found = run_onnx(to_bytes(model), INPUT)
    return {name: values.astype(np.float32) for name, values in found.items()}


def dense(seed: int) -> ir.Model:
    return normalise(ir.from_proto(parse(DENSE, seed=seed)))


def double(tape: ir.tape.Tape, value: ir.Value) -> ir.Value:
    return tape.op("Add", [value, value], name="doubled")


def test_a_graph_cut_and_joined_computes_what_it_did() -> None:
    model = dense(0)
    links = [Link(model, "a.", "x", ("active",)), Link(model, "b.", "active", ("scores",))]
    found = run(chain(links, ["scores"]))["scores"]
    np.testing.assert_allclose(found, run(model)["scores"], rtol=1e-5)


def test_parts_of_two_graphs_are_joined_by_a_bridge() -> None:
    first, second = dense(0), dense(1)
    links = [
        Link(first, "a.", "x", ("active",)),
        Link(second, "b.", "active", ("scores", "active"), double),
    ]
    joined = chain(links, ["scores", "fed"])
    found = run(joined)
    active = np.maximum(first_layer(first), 0)
    np.testing.assert_allclose(found["fed"], 2 * active, rtol=1e-5, atol=1e-6)
    weights = {
        n: v.const_value.numpy()
        for n, v in second.graph.initializers.items()
        if v.const_value is not None
    }
    gemm = 2 * active @ weights["w1"].T + weights["b1"]
    np.testing.assert_allclose(found["scores"], gemm, rtol=1e-5, atol=1e-5)
    assert len(joined.graph.initializers) == 4  # Two layers and nothing of what was cut off.


def test_the_first_part_may_have_several_inputs() -> None:
    sum_of = """
sum_of (float[batch, 4] x, float[batch, 4] y) => (float[batch, 4] sum)
{
  sum = Add (x, y)
}
"""
    first, second = normalise(ir.from_proto(parse(sum_of))), dense(0)
    joined = chain(
        [Link(first, "a.", "x", ("sum",)), Link(second, "b.", "x", ("scores",))], ["scores"]
    )
    found = run_onnx(to_bytes(joined), {**INPUT, "y": INPUT["x"]})["scores"].astype(np.float32)
    doubled = run_onnx(to_bytes(second), {"x": 2 * INPUT["x"]})["scores"].astype(np.float32)
    np.testing.assert_allclose(found, doubled, rtol=1e-5)


def first_layer(model: ir.Model) -> np.ndarray:
    weights = {
        n: v.const_value.numpy()
        for n, v in model.graph.initializers.items()
        if v.const_value is not None
    }
    return np.asarray(INPUT["x"] @ weights["w0"] + weights["b0"])
