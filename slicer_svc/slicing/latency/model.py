"""From measured times to the price of a fragment in milliseconds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from scipy.optimize import nnls

from onnxgraph.shapes import with_shapes
from slicer_svc.slicing.blocks import fitting_grain, machine_block
from slicer_svc.slicing.errors import invalid_field
from slicer_svc.slicing.latency.flow import Flows, Shares
from slicer_svc.slicing.latency.table import LatencyTable, Point
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.pricing import Counts, Pricing, Tally

_MOST = 1 - 1e-9
"""The share of a larger version's time, and sum, that a smaller one has at most."""


@dataclass(frozen=True, eq=False)
class LatencyModel:
    """What a fragment takes as a function of the units kept.

    Attributes:
        pricing: The sum of what its nodes take, as a share of the whole model's.
        sums: That sum for the versions that were measured as a whole, rising from 0 to 1.
        times: Milliseconds of these versions, rising from 0.
    """

    pricing: Pricing
    sums: NDArray[np.float64]
    times: NDArray[np.float64]

    @property
    def whole_ms(self) -> float:
        """Milliseconds of the whole model."""
        return float(self.times[-1])

    def predicted_ms(self, counts: Counts) -> float:
        """Milliseconds of a fragment with the given counts of all groups."""
        return self.time(Tally(self.pricing, counts).cost)

    def allowed(self, ms: float) -> float:
        """The largest sum of a fragment that takes at most so many milliseconds."""
        return float(np.interp(ms, self.times, self.sums))

    def time(self, total: float) -> float:
        """The milliseconds that go with a sum."""
        return float(np.interp(total, self.sums, self.times))

    def share(self, total: float) -> float:
        """The share of the whole's time that goes with a sum."""
        return self.time(total) / self.whole_ms


@dataclass(frozen=True, eq=False)
class _Term:
    weight: float
    shares: Shares


def latency_model(network: Network, table: LatencyTable) -> LatencyModel:
    """Fits every node's time and prices the other nodes by the values that they write.

    A node's time is t(r, w) = a + b·r + c·w + d·r·w + e·w² of the shares r that it reads and w that
    it writes, by non-negative least squares of relative errors: the terms are its overhead, what it
    reads, what it writes, its MACs, and those of a recurrence. So it rises in both, and noise of
    single measurements evens out. What the model takes beyond these nodes is shared among the
    others by the elements that they write.

    The sum of all nodes is not yet the time of their network: the smaller it is, the more of it
    stays in the processor's caches. So sums are mapped to times through the versions that were
    measured as a whole, linearly from one to the next.

    Args:
        network: The model.
        table: Its measured times.

    Returns:
        The price of fragments; counts are paid for as if rounded up to the machine's blocks.

    Raises:
        SlicingError: FIELD_INVALID for a table of another model.
    """
    flows = Flows(network)
    terms: list[_Term] = []
    others: list[ir.Node] = []
    measured = 0.0
    for node in with_shapes(network.model).graph:
        points = table.nodes.get(str(node.name))
        if points:
            terms += _node_terms(flows, node, points)
            measured += points[0].ms
        else:
            others.append(node)
    groups = {group.id for group in network.groups}
    regrouped = any(set(version.kept) != groups for version in table.versions)
    if regrouped or len(others) + len(table.nodes) != len(network.model.graph):
        raise invalid_field("latency", "it is of another model", "Leave it out to measure anew.")
    terms += _other_terms(flows, others, table.whole_ms - measured)
    return _calibrated(network, table, _pricing(network, terms))


def _calibrated(network: Network, table: LatencyTable, pricing: Pricing) -> LatencyModel:
    """Maps sums to the times of the versions; noise never makes a smaller one take longer."""
    sums, times = [1.0], [table.whole_ms]
    for version in table.versions[1:]:
        counts = np.array([version.kept[group.id] for group in network.groups], dtype=np.int64)
        total = Tally(pricing, counts).cost
        # Versions of small groups may be the same; their sums differ by rounding alone.
        if total < sums[-1] * _MOST:
            sums.append(total)
            times.append(min(version.ms, times[-1] * _MOST))
    return LatencyModel(pricing, np.array([*sums, 0.0])[::-1], np.array([*times, 0.0])[::-1])


def _node_terms(flows: Flows, node: ir.Node, points: Sequence[Point]) -> list[_Term]:
    flow = flows.of(node)
    none = flow.read[:0]
    bases = (none, flow.read, flow.written)
    products = (
        np.concatenate([flow.read, flow.written]),
        np.concatenate([flow.written, flow.written]),
    )
    fitted = fit(points)
    found = zip(fitted.tolist(), (*bases, *products), strict=True)
    return [_Term(weight, shares) for weight, shares in found if weight > 0]


def fit(points: Sequence[Point]) -> NDArray[np.float64]:
    """Coefficients of 1, r, w, r·w and w² in a node's time, `(5,)`, none below 0."""
    read = np.array([point.read for point in points])
    written = np.array([point.written for point in points])
    times = np.array([point.ms for point in points])
    columns = [np.ones_like(read), read, written, read * written, written**2]
    found, _ = nnls(np.stack(columns, axis=1) / times[:, None], np.ones_like(times))
    return np.asarray(found, dtype=np.float64)


def _other_terms(flows: Flows, nodes: Sequence[ir.Node], rest: float) -> list[_Term]:
    """The terms of nodes that were not measured; nodes of equal shares are one."""
    elements: dict[bytes, float] = {}
    shares: dict[bytes, Shares] = {}
    for node in nodes:
        for output in node.outputs:
            found = flows.of_value(output)
            key = found.tobytes()
            shares[key] = found
            elements[key] = elements.get(key, 0.0) + _elements(output)
    total = sum(elements.values())
    if rest <= 0 or total == 0:
        return []
    return [_Term(rest * elements[key] / total, shares[key]) for key in shares]


def _elements(value: ir.Value) -> int:
    """Elements of a value for one sample; open sizes count as 1, as they do for MACs."""
    sizes = [] if value.shape is None else list(value.shape)
    return int(np.prod([size for size in sizes if isinstance(size, int)], dtype=np.int64))


def _pricing(network: Network, terms: Sequence[_Term]) -> Pricing:
    groups = network.groups
    axes = max((len(term.shares) for term in terms), default=0)
    shares = np.zeros((len(terms), axes, len(groups) + 1))
    shares[:, :, -1] = 1.0
    for place, term in enumerate(terms):
        shares[place, : len(term.shares)] = term.shares
    block = machine_block()
    return Pricing(
        weights=np.array([term.weight for term in terms]),
        shares=shares,
        units=np.array([group.units for group in groups], dtype=np.int64),
        grains=np.array([fitting_grain(group, block) for group in groups], dtype=np.int64),
    )
