"""Measuring what the nodes of a model take on this machine."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from onnxgraph.cost import cost
from onnxgraph.lookup import opset_of
from onnxgraph.serialise import to_bytes
from onnxgraph.shapes import with_shapes
from onnxgraph.surgery import Cut
from onnxgraph.surgery.dropping import drop
from slicer_svc.slicing.latency.design import designs, even_versions
from slicer_svc.slicing.latency.flow import Flows, NodeFlow, left
from slicer_svc.slicing.latency.machine import machine_name
from slicer_svc.slicing.latency.single_node import SMALL, single_node
from slicer_svc.slicing.latency.table import LatencyTable, Point, Version
from slicer_svc.slicing.latency.timing import Feeds, model_time, node_times
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.progress import Progress, Report
from slicer_svc.slicing.samples import Samples

SECONDS = 8.0
"""Time for repeating measurements of nodes; each is made a few times in any case."""

VERSION_SECONDS = 5.0
"""Time for repeating measurements of whole versions."""


def measure_latency(network: Network, samples: Samples, report: Report) -> LatencyTable:
    """Measures a model on this machine, for one sample on one thread.

    16 differently cut versions of the model are made without their weights' numbers. Of each, the
    nodes that multiply and accumulate run side by side, taken apart from each other. A few more
    versions run as they are.

    Args:
        network: The model.
        samples: Its samples; the first is what the whole model is measured on.
        report: Told about every version.

    Returns:
        The times.
    """
    feeds = {name: array[:1] for name, array in samples.inputs.items()}
    model = with_shapes(network.model)
    nodes = [name for name, share in cost(model).by_node.items() if share.macs > 0]
    flows = _flows(network, model, nodes)
    sizes = _open_sizes(model, feeds)
    blank = _without_numbers(model)
    table: dict[str, dict[tuple[float, float], Point]] = {name: {} for name in nodes}
    versions = designs(network.groups, _meetings(network, flows))
    for place, counts in enumerate(versions):
        by_name = {str(node.name): node for node in _cut(network, blank, counts).graph}
        singles = [single_node(by_name[name], sizes) for name in nodes]
        times = node_times(singles, opset_of(model), SECONDS / len(versions))
        ratios = np.array([counts[group.id] / group.units for group in network.groups])
        for name, ms in zip(nodes, times, strict=True):
            point = Point(left(flows[name].read, ratios), left(flows[name].written, ratios), ms)
            table[name].setdefault((point.read, point.written), point)
        report(Progress("latency", None, f"version {place + 1}", place + 1, len(versions)))
    return LatencyTable(
        machine=machine_name(),
        versions=_versions(network, blank, feeds),
        nodes={name: tuple(points.values()) for name, points in table.items()},
    )


def _versions(network: Network, blank: ir.Model, feeds: Feeds) -> tuple[Version, ...]:
    versions = even_versions(network.groups)
    seconds = VERSION_SECONDS / len(versions)
    return tuple(
        Version(counts, model_time(to_bytes(_cut(network, blank, counts)), feeds, seconds))
        for counts in versions
    )


def _flows(network: Network, model: ir.Model, nodes: Sequence[str]) -> dict[str, NodeFlow]:
    flows = Flows(network)
    wanted = set(nodes)
    return {str(node.name): flows.of(node) for node in model.graph if node.name in wanted}


def _meetings(network: Network, flows: Mapping[str, NodeFlow]) -> list[tuple[str, str]]:
    """Pairs of groups that one node reads and writes."""
    names = [group.id for group in network.groups]
    pairs = []
    for flow in flows.values():
        read = np.flatnonzero(flow.read[:, :-1].any(axis=0)).tolist()
        written = np.flatnonzero(flow.written[:, :-1].any(axis=0)).tolist()
        pairs += [(names[one], names[other]) for one in read for other in written]
    return pairs


def _open_sizes(model: ir.Model, feeds: Feeds) -> dict[str, int]:
    """What the open dimensions of the inputs are in a sample."""
    sizes: dict[str, int] = {}
    for value in model.graph.inputs:
        if value.shape is not None and value.name in feeds:
            shape = feeds[str(value.name)].shape
            for dim, size in zip(value.shape, shape, strict=True):
                if isinstance(dim, ir.SymbolicDim):
                    sizes[str(dim.value)] = size
    return sizes


def _without_numbers(model: ir.Model) -> ir.Model:
    """A copy whose large floating constants are of one number that takes no memory."""
    copy = model.clone()
    for value in copy.graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and tensor.dtype.is_floating_point() and tensor.size > SMALL:
            blank = np.broadcast_to(np.zeros((), tensor.numpy().dtype), tensor.shape.numpy())
            value.const_value = ir.Tensor(blank, dtype=tensor.dtype, name=value.name)
    return copy


def _cut(network: Network, model: ir.Model, counts: Mapping[str, int]) -> ir.Model:
    """A smaller copy; the groups are not looked for anew, as the copy is that of their graph."""
    smaller = [
        (group, Cut(np.arange(counts[group.id], dtype=np.int64)))
        for group in network.groups
        if counts[group.id] < group.units
    ]
    copy = model.clone()
    drop(copy, smaller, lambda _reader: True)
    return copy
