from collections import Counter
from functools import cache

import numpy as np
import onnx_ir as ir
import pytest

from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.operators import supported_operators
from onnxgraph.parity import compare, run_onnx
from onnxgraph.passes.raise_opset import WORKING_OPSET
from onnxgraph.serialise import to_bytes
from tests.helpers.torch_models import MODELS, Classifier, Inception, Vgg, build, export


@cache
def _exported(position: int, dynamo: bool, opset: int, dynamic: bool, batch: int) -> bytes:
    kind = MODELS[position]
    return export(
        build(kind), [kind.shape], dynamo=dynamo, opset=opset, dynamic=dynamic, batch=batch
    )


def exported(kind: type[Classifier], dynamo: bool, opset: int, dynamic: bool, batch: int) -> bytes:
    return _exported(MODELS.index(kind), dynamo, opset, dynamic, batch)


def check(kind: type[Classifier], data: bytes, batch: int | None) -> ir.Model:
    """Checks the normal form of an export against the export itself, batch by batch."""
    model = normalise(load_model(data))
    generator = np.random.default_rng(3)
    for size in (1, 2, 4, 7):
        x = generator.standard_normal((size, *kind.shape)).astype(np.float32)
        found = run_onnx(to_bytes(model), {"x": x})["scores"]
        chunk = batch or size
        rows = [np.minimum(np.arange(i, i + chunk), size - 1) for i in range(0, size, chunk)]
        wanted = np.concatenate([run_onnx(data, {"x": x[part]})["scores"] for part in rows])[:size]
        assert compare(found, wanted, atol=0, rtol=1e-5).passed
    return model


def check_normal_form(model: ir.Model) -> None:
    graph = model.graph
    assert graph.opset_imports == {"": WORKING_OPSET}
    assert {node.op_type for node in graph} <= supported_operators()
    assert not {"Shape", "Constant", "Identity", "Dropout", "BatchNormalization"} & {
        node.op_type for node in graph
    }
    for value in (*graph.inputs, *graph.outputs):
        assert value.shape is not None
        assert value.shape[0] == ir.SymbolicDim("batch")
        assert all(isinstance(size, int) for size in value.shape[1:])
    assert all(len(value.uses()) == 1 for value in graph.initializers.values())
    names = [node.name for node in graph]
    assert all(names)
    assert len(set(names)) == len(names)
    for node in graph:
        assert not node.metadata_props
        assert not node.doc_string
        assert all(value.shape is not None for value in node.outputs)


@pytest.mark.parametrize("opset", [9, 13, 17, 20])
@pytest.mark.parametrize("kind", MODELS)
def test_a_torchscript_export_is_normalised(kind: type[Classifier], opset: int) -> None:
    check_normal_form(check(kind, exported(kind, False, opset, True, 2), None))


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("kind", MODELS)
def test_a_batch_baked_by_torchscript_is_freed(kind: type[Classifier], batch: int) -> None:
    check_normal_form(check(kind, exported(kind, False, 17, False, batch), batch))


@pytest.mark.parametrize("kind", MODELS)
def test_a_dynamo_export_is_normalised(kind: type[Classifier]) -> None:
    check_normal_form(check(kind, exported(kind, True, 20, True, 2), None))


@pytest.mark.parametrize(
    ("kind", "batch", "opset"), [(Vgg, 1, 18), (Inception, 1, 21), (Inception, 2, 23)]
)
def test_a_batch_baked_by_dynamo_is_freed(kind: type[Classifier], batch: int, opset: int) -> None:
    check_normal_form(check(kind, exported(kind, True, opset, False, batch), batch))


@pytest.mark.parametrize("kind", MODELS)
def test_both_exporters_lead_to_the_same_operators(kind: type[Classifier]) -> None:
    counts = [
        Counter(node.op_type for node in normalise(load_model(data)).graph)
        for data in (exported(kind, False, 20, True, 2), exported(kind, True, 20, True, 2))
    ]
    # dynamo folds Pad into Conv and writes the global pool as ReduceMean.
    for count in counts:
        count["GlobalAveragePool"] += count.pop("ReduceMean", 0)
        count.pop("Pad", None)
    assert counts[0] == counts[1]


@pytest.mark.parametrize("kind", MODELS)
def test_a_normal_form_is_its_own_normal_form(kind: type[Classifier]) -> None:
    once = to_bytes(normalise(load_model(exported(kind, False, 17, True, 2))))
    assert to_bytes(normalise(load_model(once))) == once


def test_normalise_leaves_the_loaded_model_as_it_was() -> None:
    kind = MODELS[0]
    model = load_model(exported(kind, False, 13, True, 2))
    before = ir.serde.serialize_model(model).SerializeToString()
    normalise(model)
    assert ir.serde.serialize_model(model).SerializeToString() == before
