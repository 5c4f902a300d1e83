from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import external_data_helper
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from marketctl.graph_file import graph_to_upload
from svckit.errors import InvalidArgument
from tests.helpers.perceptrons import classifier


def exported(folder: Path) -> Path:
    """A graph whose weights lie beside it, as torch's newer exporter writes it."""
    path = folder / "graph.onnx"
    onnx.save(
        classifier(3),
        path,
        save_as_external_data=True,
        location="graph.onnx.data",
        size_threshold=0,
    )
    return path


def relocated(path: Path, location: str) -> Path:
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())
    return path


def test_a_graph_in_one_piece_is_sent_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    onnx.save(classifier(3), path)
    assert graph_to_upload(path) == path


def test_weights_beside_a_graph_are_put_into_it(tmp_path: Path) -> None:
    sent = graph_to_upload(exported(tmp_path))
    assert isinstance(sent, bytes)
    inlined = onnx.load_from_string(sent)
    assert not any(external_data_helper.uses_external_data(t) for t in inlined.graph.initializer)
    assert list(inlined.graph.initializer) == list(classifier(3).graph.initializer)


def test_weights_inside_a_node_are_put_into_it(tmp_path: Path) -> None:
    path = exported(tmp_path)
    model = onnx.load(path, load_external_data=False)
    moved = model.graph.initializer.pop(0)
    constant = onnx.helper.make_node("Constant", [], [moved.name], value=moved)
    model.graph.node.insert(0, constant)
    path.write_bytes(model.SerializeToString())
    sent = graph_to_upload(path)
    assert isinstance(sent, bytes)
    tensor = onnx.load_from_string(sent).graph.node[0].attribute[0].t
    assert tensor.raw_data == classifier(3).graph.initializer[0].raw_data


def test_what_is_no_graph_is_left_to_the_slicer(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"\xff\xd8 no graph at all")
    assert graph_to_upload(path) == path


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/hostname", "a/../../secret", "..\\secret", "", "missing", "."]
)
def test_a_graph_cannot_send_files_from_elsewhere(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(10_000))
    path = relocated(exported(folder), location)
    with pytest.raises(InvalidArgument) as refused:
        graph_to_upload(path)
    assert refused.value.reason == reasons.ERROR_REASON_GRAPH_EXTERNAL_DATA


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(10_000))
    (folder / "weights").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidArgument):
        graph_to_upload(relocated(exported(folder), "weights"))


def test_weights_that_are_cut_off_are_noticed(tmp_path: Path) -> None:
    path = exported(tmp_path)
    data = tmp_path / "graph.onnx.data"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(InvalidArgument, match="shorter"):
        graph_to_upload(path)


def test_a_graph_too_large_for_protobuf_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = exported(tmp_path)
    with (tmp_path / "graph.onnx.data").open("r+b") as stream:
        stream.truncate(2**31)  # A hole: no disk is used.
    with pytest.raises(InvalidArgument) as refused:
        graph_to_upload(path)
    assert refused.value.reason == reasons.ERROR_REASON_GRAPH_TOO_LARGE
