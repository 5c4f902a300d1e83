"""What a live server is asked, and the verdict on what it answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from serving.client import TritonClient
from serving.errors import SmokeTestError
from serving.model_config import DataType, TensorConfig
from serving.reconciler.parity import Tolerance
from serving.reconciler.smoke import OtherAnswersError, Probes, read_smoke_test, run_smoke_test
from serving.repository import ModelRepository
from tests.helpers.packer import smoke_test_bytes
from tests.helpers.triton import (
    add_classifier,
    answers,
    classifier,
    classifier_config,
    samples,
)

KINDS = ["samples", "samples", "random", "extreme", "extreme"]


def written(folder: Path, data: bytes) -> Path:
    path = folder / "smoke_test.npz"
    path.write_bytes(data)
    return path


def full(*, kind: object = KINDS, tolerance: object = (1e-4, 1e-3), offset: float = 0.0) -> bytes:
    """The smoke test of `classifier(1)` with rows of every kind, the extreme ones moved."""
    x = samples(5)
    right = answers(1, x)
    right[3:] += offset
    return smoke_test_bytes(
        {"x": x},
        {"probabilities": right},
        kind=kind,  # type: ignore[arg-type]
        tolerance=tolerance,  # type: ignore[arg-type]
    )


def test_rows_are_read_with_their_kinds_and_tolerance(tmp_path: Path) -> None:
    test = read_smoke_test(written(tmp_path, full(tolerance=(0.5, 0.25))))
    assert test.kinds == tuple(KINDS)
    assert test.tolerance == Tolerance(0.5, 0.25)
    assert {kind: len(part.kinds) for kind, part in test.by_kind().items()} == {
        "samples": 2,
        "random": 1,
        "extreme": 2,
    }


def test_a_pack_from_before_there_were_kinds_is_still_asked(tmp_path: Path) -> None:
    old = smoke_test_bytes({"x": samples(3)}, {"probabilities": np.zeros((3, 3), np.float32)})
    test = read_smoke_test(written(tmp_path, old))
    assert test.kinds == ("samples",) * 3
    assert test.tolerance == Tolerance()


@pytest.mark.parametrize(
    "data",
    [
        full(kind=KINDS[:4]),
        full(kind=[KINDS]),
        full(tolerance=(1.0,)),
        full(tolerance=(-1.0, 1.0)),
        full(tolerance=(np.nan, 1.0)),
        full(tolerance=("a", "b")),
        full()[:-40],
        full()[:200] + b"\xff" * 20 + full()[220:],
    ],
    ids=["few kinds", "flat kinds", "single", "negative", "nan", "text", "cut", "damaged"],
)
def test_a_smoke_test_that_says_nothing_clear_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(SmokeTestError):
        read_smoke_test(written(tmp_path, data))


def test_the_probe_is_the_first_row_and_is_read_again_when_the_file_is_another(
    tmp_path: Path,
) -> None:
    probes = Probes()
    path = written(tmp_path, full())
    first = probes.read(path)
    assert first.kinds == ("samples",)
    assert probes.read(path) is first
    path.unlink()
    with pytest.raises(SmokeTestError):
        probes.read(path)
    written(
        tmp_path, smoke_test_bytes({"x": samples(1, seed=9)}, {"probabilities": np.ones((1, 3))})
    )
    np.testing.assert_array_equal(probes.read(path).inputs["x"], samples(1, seed=9))


async def test_a_right_server_passes_on_every_kind(
    repository: ModelRepository, client: TritonClient, name: str, tmp_path: Path
) -> None:
    await serve(repository, client, name)
    test = read_smoke_test(written(tmp_path, full()))
    found = await run_smoke_test(client, name, 1, test, batch=1)
    assert [(case.inputs, case.output, case.rows) for case in found] == [
        ("samples", "probabilities", 2),
        ("random", "probabilities", 1),
        ("extreme", "probabilities", 2),
    ]
    assert all(case.parity.passed and case.parity.top1 == 1.0 for case in found)
    assert all(0 < case.parity.max_abs < 1e-6 for case in found)
    assert all(case.parity.cosine == pytest.approx(1.0) for case in found)


async def test_a_server_that_errs_on_extreme_inputs_alone_is_refused(
    repository: ModelRepository, client: TritonClient, name: str, tmp_path: Path
) -> None:
    await serve(repository, client, name)
    test = read_smoke_test(written(tmp_path, full(offset=0.01)))
    with pytest.raises(OtherAnswersError) as failed:
        await run_smoke_test(client, name, 1, test, batch=64)
    assert {**failed.value.metadata} == {
        "leg": "live",
        "inputs": "extreme",
        "output": "probabilities",
        "max_abs": "0.01",
    }
    assert {case.inputs: case.parity.passed for case in failed.value.parity} == {
        "samples": True,
        "random": True,
        "extreme": False,
    }


async def test_the_tolerance_is_the_smoke_tests_own(
    repository: ModelRepository, client: TritonClient, name: str, tmp_path: Path
) -> None:
    await serve(repository, client, name)
    lenient = read_smoke_test(written(tmp_path, full(offset=0.01, tolerance=(0.02, 0.0))))
    found = await run_smoke_test(client, name, 1, lenient, batch=64)
    assert max(case.parity.max_abs for case in found) == pytest.approx(0.01, abs=1e-5)


async def test_an_answer_of_another_shape_is_refused(
    repository: ModelRepository, client: TritonClient, name: str, tmp_path: Path
) -> None:
    await serve(repository, client, name)
    wide = smoke_test_bytes({"x": samples(2)}, {"probabilities": np.zeros((2, 4))})
    with pytest.raises(OtherAnswersError) as failed:
        await run_smoke_test(client, name, 1, read_smoke_test(written(tmp_path, wide)), batch=64)
    assert failed.value.metadata["max_abs"] == "inf"


async def test_every_output_is_compared_by_its_name(
    repository: ModelRepository, client: TritonClient, name: str, tmp_path: Path
) -> None:
    proto = onnx.load_from_string(classifier(1))
    proto.graph.node.append(
        helper.make_node("ReduceMax", ["probabilities"], ["surest"], axes=[1], keepdims=1)
    )
    proto.graph.output.append(helper.make_tensor_value_info("surest", TensorProto.FLOAT, ["N", 1]))
    config = classifier_config(name)
    two = (*config.outputs, TensorConfig("surest", DataType.FP32, (1,)))
    await serve(
        repository,
        client,
        name,
        graph=proto.SerializeToString(),
        config=type(config)(**{**vars(config), "outputs": two}),
    )
    x = samples(5)
    right = answers(1, x)
    surest = right.max(axis=1, keepdims=True)
    good = smoke_test_bytes({"x": x}, {"probabilities": right, "surest": surest}, kind=KINDS)
    bad = smoke_test_bytes({"x": x}, {"probabilities": right, "surest": surest + 0.1}, kind=KINDS)
    found = await run_smoke_test(
        client, name, 1, read_smoke_test(written(tmp_path, good)), batch=64
    )
    assert len(found) == 6
    with pytest.raises(OtherAnswersError) as failed:
        await run_smoke_test(client, name, 1, read_smoke_test(written(tmp_path, bad)), batch=64)
    assert failed.value.metadata["output"] == "surest"


async def serve(
    repository: ModelRepository, client: TritonClient, name: str, **changes: object
) -> None:
    add_classifier(repository, name, 1, seed=1, **changes)
    repository.activate(name, (1,))
    await client.load(name)
