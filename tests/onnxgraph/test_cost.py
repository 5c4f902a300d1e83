"""Parameters, multiply-accumulates and bytes of graphs."""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from onnxgraph.cost import NodeCost, cost
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from tests.helpers.text_graphs import text_graph
from tests.helpers.torch_models import Classifier, build, export
from tests.helpers.torch_transformers import TorchTransformer, WindowTransformer


def test_linear_nodes_are_counted_per_sample() -> None:
    model = text_graph(
        "float[N, 3, 8, 8] x => float[N, 2] y",
        """
        c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, w, b)
        d = Conv <group = 4> (c, dw)
        r = Relu (d)
        f = Flatten (r)
        h = Gemm <transB = 1> (f, u)
        y = MatMul (h, v)
        """,
        w=(4, 3, 3, 3),
        b=(4,),
        dw=(4, 1, 2, 2),
        u=(5, 36),
        v=(5, 2),
    )
    found = cost(model)
    assert found.by_node == {
        "c": NodeCost(4 * 27 + 4, 4 * 16 * 27),
        "d": NodeCost(16, 4 * 9 * 4),
        "h": NodeCost(180, 180),
        "y": NodeCost(10, 10),
    }
    assert found.parameters == 112 + 16 + 180 + 10
    assert found.macs == 1728 + 144 + 180 + 10
    assert found.bytes == 4 * found.parameters


def test_a_dense_layer_over_positions_counts_each_position() -> None:
    model = text_graph("float[N, 7, 3] x => float[N, 7, 5] y", "y = MatMul (x, w)", w=(3, 5))
    assert cost(model).macs == 7 * 15


def test_shared_weights_count_once_and_integers_only_as_bytes() -> None:
    model = text_graph(
        "float[N, 4] x => float[N, 4] y",
        "a = MatMul (x, w)\nb = MatMul (a, w)\ny = Reshape (b, target)",
        w=(4, 4),
        target=np.array([-1, 4]),
    )
    found = cost(model)
    assert (found.parameters, found.macs, found.bytes) == (16, 32, 64 + 16)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("kind", [TorchTransformer, WindowTransformer])
def test_heads_and_windows_in_the_batch_count_as_torch_counts_them(kind: type[Classifier]) -> None:
    module = build(kind)
    # A fused kernel would hide its products from the counter.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(torch.randn(1, *kind.shape))
    found = cost(normalise(load_model(export(module, [kind.shape], dynamo=False, opset=20))))
    assert 2 * found.macs == counter.get_total_flops()


def test_products_of_values_that_a_reshape_merged_with_the_batch_count_per_sample() -> None:
    model = text_graph(
        "float[N, 6, 4] x => float[N, 3, 2, 2] y",
        """
        heads = Reshape (x, merged)
        turned = Transpose <perm = [0, 2, 1]> (heads)
        scores = MatMul (heads, turned)
        y = Reshape (scores, parted)
        """,
        merged=np.array([-1, 2, 4]),
        parted=np.array([-1, 3, 2, 2]),
    )
    assert cost(model).macs == 3 * 2 * 4 * 2
