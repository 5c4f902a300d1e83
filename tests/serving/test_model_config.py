"""`config.pbtxt` both ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from serving.model_config import (
    DataType,
    DynamicBatching,
    InstanceGroup,
    InstanceKind,
    LatestVersions,
    ModelConfig,
    ModelConfigError,
    SpecificVersions,
    TensorConfig,
    Threads,
    from_text,
    to_text,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "model_config"

CLASSIFIER = ModelConfig(
    name="digits",
    max_batch_size=64,
    inputs=(TensorConfig("image", DataType.FP32, (1, 8, 8)),),
    outputs=(TensorConfig("probabilities", DataType.FP32, (3,), "labels.txt"),),
    dynamic_batching=DynamicBatching(),
    version_policy=SpecificVersions((6, 7)),
)
UNBATCHED = ModelConfig(
    name="whole",
    max_batch_size=0,
    inputs=(
        TensorConfig("tokens", DataType.INT64, (1, -1)),
        TensorConfig("mask", DataType.BOOL, (1, -1)),
    ),
    outputs=(TensorConfig("scores", DataType.FP64, (1, 5)),),
)
ON_GPUS = ModelConfig(
    name="many",
    max_batch_size=8,
    inputs=(TensorConfig("x", DataType.FP16, (4,)),),
    outputs=(TensorConfig("y", DataType.FP16, (2,)),),
    instance_group=InstanceGroup(InstanceKind.GPU, count=2, gpus=(0, 1)),
    dynamic_batching=DynamicBatching(500, (4, 8)),
    version_policy=LatestVersions(2),
    threads=Threads(intra_op=4, inter_op=2),
)
CASES = {"classifier": CLASSIFIER, "unbatched": UNBATCHED, "on_gpus": ON_GPUS}

_tensors = st.builds(
    TensorConfig,
    name=st.text(min_size=1, max_size=8),
    data_type=st.sampled_from(DataType),
    dims=st.lists(st.sampled_from((-1, 1, 3, 224)), max_size=4).map(tuple),
)
_configs = st.builds(
    ModelConfig,
    name=st.text(max_size=8),
    max_batch_size=st.integers(0, 2**31 - 1),
    inputs=st.lists(_tensors, max_size=3).map(tuple),
    outputs=st.lists(_tensors, max_size=3).map(tuple),
    instance_group=st.builds(InstanceGroup, count=st.integers(1, 99)),
    dynamic_batching=st.none() | st.builds(DynamicBatching, st.integers(0, 10_000)),
    version_policy=st.builds(LatestVersions, st.integers(1, 9))
    | st.builds(SpecificVersions, st.lists(st.integers(1, 2**40), min_size=1).map(tuple)),
    threads=st.builds(Threads, intra_op=st.integers(0, 64), inter_op=st.integers(0, 64)),
)


@pytest.mark.parametrize("case", CASES)
def test_a_configuration_is_written_as_the_golden_file_says(case: str) -> None:
    assert to_text(CASES[case]) == (GOLDEN / f"{case}.pbtxt").read_text()


@pytest.mark.parametrize("case", CASES)
def test_a_golden_file_is_read_as_its_configuration(case: str) -> None:
    assert from_text((GOLDEN / f"{case}.pbtxt").read_text()) == CASES[case]


@given(_configs)
def test_any_configuration_survives_writing_and_reading(config: ModelConfig) -> None:
    assert from_text(to_text(config)) == config


def test_a_batch_size_of_zero_and_one_instance_are_written_out() -> None:
    text = to_text(UNBATCHED)
    assert "max_batch_size: 0" in text
    assert "instance_group {" in text
    message = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert [group.count for group in message.instance_group] == [1]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("response_cache { enable: true }", "response_cache"),
        ("platform: 'onnxruntime_onnx'", "platform"),
        ("instance_group { count: 1 kind: KIND_CPU }", "instance groups"),
        ("dynamic_batching { preserve_ordering: true }", "dynamic_batching"),
        ("parameters { key: 'execution_mode' value { string_value: '1' } }", "parameters"),
        ("no_such_field: 1", "not a model configuration"),
    ],
)
def test_what_would_be_lost_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(ModelConfigError, match=complaint):
        from_text(f"{to_text(replace(CLASSIFIER, dynamic_batching=None))}\n{line}")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('backend: "onnxruntime"', 'backend: "python"', "backend"),
        ("TYPE_FP32", "TYPE_STRING", "unsupported type"),
        ("KIND_CPU", "KIND_MODEL", "KIND_MODEL"),
        ('string_value: "1"', 'string_value: "many"', "not a number"),
        ("specific {\n    versions: 7\n  }", "all {}", "version policy"),
    ],
)
def test_a_value_that_means_nothing_here_is_refused(old: str, new: str, complaint: str) -> None:
    text = to_text(replace(CLASSIFIER, version_policy=SpecificVersions((7,))))
    assert old in text
    with pytest.raises(ModelConfigError, match=complaint):
        from_text(text.replace(old, new))
