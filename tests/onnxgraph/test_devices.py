import ast
from pathlib import Path

import torch

from onnxgraph.devices import execution_provider, torch_device

ROOT = Path(__file__).resolve().parents[2]


def test_torch_computes_on_a_gpu_where_there_is_one() -> None:
    assert torch_device() == ("cuda" if torch.cuda.is_available() else "cpu")


def test_onnx_runtime_computes_on_the_processor_wherever_it_runs() -> None:
    assert execution_provider() == "CPUExecutionProvider"


def test_slicer_and_packer_open_sessions_in_one_place() -> None:
    """So that what the metric shows of ONNX Runtime holds for all of them."""
    opened = {
        path.relative_to(ROOT).as_posix()
        for package in ("onnxgraph", "slicer_svc", "packer_svc")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] == "InferenceSession"
    }
    assert opened == {"onnxgraph/session.py"}
