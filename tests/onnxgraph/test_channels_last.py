"""Graphs as tf2onnx writes them: images `(N, H, W, C)`, a Transpose around what wants channels."""

import numpy as np
import onnx_ir as ir
import pytest

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.groups import unit_groups
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.serialise import to_bytes
from onnxgraph.surgery import cut_all
from tests.helpers.text_graphs import text_graph
from tests.helpers.unit_copies import copied_units

_IN, _OUT = "<perm = [0, 3, 1, 2]>", "<perm = [0, 2, 3, 1]>"
_POSITIVE = np.array([0.5, 1.0, 2.0, 0.7, 1.5, 0.3], np.float32)

HEADS = {
    "global pool": "p = GlobalAveragePool (t)\nf = Squeeze (p, places)",
    "mean": "u = Transpose <perm = [0, 2, 3, 1]> (t)\n"
    "f = ReduceMean <axes = [1, 2], keepdims = 0> (u)",
    "kept mean": "u = Transpose <perm = [0, 2, 3, 1]> (t)\n"
    "p = ReduceMean <axes = [1, 2]> (u)\nf = Reshape (p, flat)",
}
BODIES = {
    "same": 'b = Conv <auto_pad = "SAME_UPPER", strides = [2, 2]> (a, w2)',
    "padded": "q = Pad (a, pads)\nb = Conv <strides = [2, 2]> (q, w2)",
    "padded last": f"""
        al = Transpose {_OUT} (a)
        q = Pad (al, lastpads)
        qf = Transpose {_IN} (q)
        b = Conv <strides = [2, 2]> (qf, w2)
    """,
    "biased last": f"""
        d = Conv <auto_pad = "SAME_LOWER"> (a, w2)
        dl = Transpose {_OUT} (d)
        dr = Add (dl, bias)
        b = Transpose {_IN} (dr)
    """,
    "normalised": f"""
        d = Conv <auto_pad = "SAME_UPPER"> (a, w2)
        dn = BatchNormalization <epsilon = 0.001> (d, gamma, beta, mean, positive)
        dl = Transpose {_OUT} (dn)
        dr = Relu (dl)
        b = Transpose {_IN} (dr)
    """,
    "normalised by hand": f"""
        d = Conv <auto_pad = "SAME_UPPER"> (a, w2)
        dl = Transpose {_OUT} (d)
        dm = Mul (dl, gamma)
        ds = Add (dm, beta)
        b = Transpose {_IN} (ds)
    """,
    "depthwise and gate": f"""
        d = Conv <auto_pad = "SAME_UPPER", group = 5> (a, wd)
        dl = Transpose {_OUT} (d)
        g = ReduceMean <axes = [1, 2]> (dl)
        gf = Transpose {_IN} (g)
        e = Conv (gf, we)
        er = Relu (e)
        o = Conv (er, wo)
        s = Sigmoid (o)
        sl = Transpose {_OUT} (s)
        m = Mul (sl, dl)
        mf = Transpose {_IN} (m)
        b = Conv (mf, w3)
    """,
}


def _graph(body: str, head: str) -> ir.Model:
    return text_graph(
        "float[N, 8, 8, 3] x => float[N, 4] y",
        f"""
        x_first = Transpose {_IN} (x)
        c = Conv <auto_pad = "SAME_UPPER"> (x_first, w1)
        cl = Transpose {_OUT} (c)
        cb = Add (cl, b1)
        r = Relu (cb)
        a = Transpose {_IN} (r)
        {body}
        t = Clip (b, zero, six)
        {head}
        l = MatMul (f, v)
        k = Add (l, vb)
        y = Softmax (k)
        """,
        opset=13,
        w1=(5, 3, 3, 3),
        b1=(5,),
        w2=(6, 5, 3, 3),
        wd=(5, 1, 3, 3),
        we=(3, 5, 1, 1),
        wo=(5, 3, 1, 1),
        w3=(6, 5, 1, 1),
        pads=np.array([0, 0, 0, 1, 0, 0, 1, 1]),
        lastpads=np.array([0, 1, 0, 0, 0, 1, 1, 0]),
        bias=(6,),
        gamma=(6,),
        beta=(6,),
        mean=(6,),
        positive=_POSITIVE,
        zero=np.array(0, np.float32),
        six=np.array(6, np.float32),
        places=np.array([2, 3]),
        flat=np.array([-1, 6]),
        v=(6, 4),
        vb=(4,),
    )


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("name", BODIES)
def test_every_layer_of_a_channels_last_graph_is_cut_rightly(name: str, head: str) -> None:
    model = _graph(BODIES[name], head)
    normal = normalise(load_model(ir.to_proto(model).SerializeToString()))
    whole = as_fragment(normal, find_classifier(normal))
    groups, parts = unit_groups(whole)
    wanted = [5, 3, 6] if "gate" in name else [5, 6]
    assert [group.units for group in groups] == wanted
    assert [part.reason for part in parts] == ["its units are the graph's output 'scores'"]
    assert "BatchNormalization" not in {node.op_type for node in whole.graph}
    random = np.random.default_rng(3)
    cuts = [copied_units(whole, group, random) for group in groups]
    x = {"x": random.normal(size=(2, 8, 8, 3)).astype(np.float32)}
    before = run_onnx(to_bytes(whole), x)["scores"]
    after = run_onnx(to_bytes(cut_all(whole, cuts)), x)["scores"]
    assert compare(after, before, atol=1e-6, rtol=1e-4).passed
