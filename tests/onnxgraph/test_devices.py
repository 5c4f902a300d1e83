import ast
from pathlib import Path

import onnxruntime as ort
import pytest
import torch
from onnx import parser

from onnxgraph.devices import torch_device
from onnxgraph.providers import execution_provider
from onnxgraph.session import CPU, CUDA, open_session

ROOT = Path(__file__).resolve().parents[2]


def test_torch_computes_on_a_gpu_where_there_is_one() -> None:
    assert torch_device() == ("cuda" if torch.cuda.is_available() else "cpu")


def test_what_may_be_accelerated_runs_on_a_gpu_where_this_onnx_runtime_has_one() -> None:
    there = torch.cuda.is_available() and CUDA in ort.get_available_providers()
    assert execution_provider() == (CUDA if there else CPU)


def test_a_process_that_is_kept_from_gpus_runs_everything_on_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert execution_provider() == CPU


def test_all_else_runs_on_the_processor() -> None:
    graph = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[2] x) => (float[2] y) { y = Abs(x) }'
    )
    session = open_session(graph.SerializeToString(), ort.SessionOptions())
    assert session.get_providers() == [CPU]


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
