"""Reads an ONNX file for its upload: what torch wrote beside it is put into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from svckit.errors import InvalidArgument

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, TensorProto

LIMIT_BYTES = 2**31 - 1
"""The largest graph: protobuf reads no larger message."""


def graph_to_upload(path: Path) -> Path | bytes:
    """Returns a graph as one piece.

    Torch's newer exporter writes large weights into a file beside the graph. No service follows
    such references: they are resolved here, and only to files in the graph's own folder.

    Args:
        path: The ONNX file.

    Returns:
        The file itself if it is one piece, or no ONNX file at all: the service says so better.
        Else the bytes of the graph with all weights in it.

    Raises:
        InvalidArgument: GRAPH_EXTERNAL_DATA or GRAPH_TOO_LARGE.
        OSError: The file cannot be read.
    """
    import onnx

    if path.stat().st_size > LIMIT_BYTES:
        raise _too_large(path)
    try:
        model = onnx.load_model(path, load_external_data=False)
    except DecodeError:
        return path
    outside = [tensor for tensor in _tensors(model) if _is_outside(tensor)]
    if not outside:
        return path
    files = {_location(tensor): _file(path, tensor) for tensor in outside}
    if path.stat().st_size + sum(file.stat().st_size for file in files.values()) > LIMIT_BYTES:
        raise _too_large(path)
    for tensor in outside:
        _inline(tensor, files[_location(tensor)])
    return bytes(model.SerializeToString())


def _inline(tensor: TensorProto, file: Path) -> None:
    """Reads a tensor's bytes into it."""
    places = {entry.key: entry.value for entry in tensor.external_data}
    try:
        offset = int(places.get("offset", "0"))
        length = int(places.get("length", str(file.stat().st_size - offset)))
    except ValueError:
        raise _refused(tensor, "its offset or length is no number") from None
    if offset < 0 or length < 0 or offset + length > file.stat().st_size:
        raise _refused(tensor, f"{file.name} is shorter than the graph says")
    with file.open("rb") as stream:
        stream.seek(offset)
        tensor.raw_data = stream.read(length)
    del tensor.external_data[:]
    tensor.ClearField("data_location")


def _file(path: Path, tensor: TensorProto) -> Path:
    """Returns the file that a tensor lies in, if it may be read."""
    location = _location(tensor)
    parts = PurePosixPath(location).parts
    if not parts or location.startswith("/") or ".." in parts or "\\" in location:
        raise _refused(tensor, f"{location!r} leads out of the graph's folder")
    folder = path.parent.resolve()
    file = (folder / location).resolve()
    # A link may lead anywhere, and what it leads to would be sent to the market.
    if not file.is_relative_to(folder):
        raise _refused(tensor, f"{location!r} leads out of the graph's folder")
    if not file.is_file():
        raise _refused(tensor, f"{location!r} is not there")
    return file


def _location(tensor: TensorProto) -> str:
    for entry in tensor.external_data:
        if entry.key == "location":
            return str(entry.value)
    return ""


def _is_outside(tensor: TensorProto) -> bool:
    from onnx import TensorProto

    return bool(tensor.data_location == TensorProto.EXTERNAL)


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yields every tensor of a model, those in attributes and nested graphs too."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        for node in function.node:
            for attribute in node.attribute:
                yield from _attribute_tensors(attribute)


def _graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from _attribute_tensors(attribute)


def _attribute_tensors(attribute: AttributeProto) -> Iterator[TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    if attribute.HasField("g"):
        yield from _graph_tensors(attribute.g)
    for graph in attribute.graphs:
        yield from _graph_tensors(graph)


def _refused(tensor: TensorProto, why: str) -> InvalidArgument:
    return InvalidArgument(
        reasons.ERROR_REASON_GRAPH_EXTERNAL_DATA,
        f"The tensor {tensor.name!r} lies in another file, but {why}.",
        advice="Put the file with the weights beside the graph, under the name it was exported to.",
        metadata={"tensor": tensor.name},
    )


def _too_large(path: Path) -> InvalidArgument:
    return InvalidArgument(
        reasons.ERROR_REASON_GRAPH_TOO_LARGE,
        f"{path.name} is larger than 2 GiB with its weights.",
        advice="Submit a smaller model.",
        metadata={"limit": str(LIMIT_BYTES)},
    )
