"""What the whole model computes at its sites: what every class of it is fitted to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Self

import onnx_ir as ir
import torch
from torch import Tensor

from onnxgraph.linear import linear_parts, patches, weight_matrix
from onnxgraph.lookup import constant_of, nodes_by_name
from onnxgraph.operators.step import dims_of
from onnxgraph.shapes import with_shapes
from onnxgraph.view import TorchView
from slicer_svc.slicing.errors import not_finite
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.progress import Step
from slicer_svc.slicing.read_steps import read_steps
from slicer_svc.slicing.walk import Minibatch, Walk
from slicer_svc.slicing.workbench import RecurrentTap, Site

POSITIONS = 32
"""Positions per sample that are looked at, at most: neighbouring ones say nearly the same, and more
samples say more than more positions."""

KEPT_BYTES = 512 << 20
"""Values of all sites that are kept at once; where they are more, fewer positions are drawn."""


@dataclass(frozen=True, eq=False)
class SiteValues:
    """One minibatch at one site, at drawn positions; all rows of a sample follow each other.

    Attributes:
        read: What the node reads, float32 `(n·p, width)`.
        made: What its matrix makes of that, bias left out, float32 `(n·q, out)`.
        read_at: The positions of `read` among those of the node's data, int64 `(p,)`.
        made_at: The positions of `made` among those of the node's output, int64 `(q,)`.
    """

    read: Tensor
    made: Tensor
    read_at: Tensor
    made_at: Tensor


class Original:
    """Values of all sites of a model on some samples: one pass, each layer once.

    Attributes:
        network: The model.
        batches: The samples.
    """

    def __init__(
        self,
        network: Network,
        batches: Sequence[Minibatch],
        values: dict[str, list[SiteValues]],
        states: dict[str, list[Tensor]],
    ) -> None:
        self.network = network
        self.batches = tuple(batches)
        self._values = values
        self._states = states

    @classmethod
    def of(
        cls, network: Network, view: TorchView, batches: Sequence[Minibatch], step: Step
    ) -> Self:
        """Passes samples through a model.

        Args:
            network: The model.
            view: A view of that model.
            batches: The samples; their weights are not read.
            step: Told each site.

        Returns:
            The values.

        Raises:
            SlicingError: GRAPH_NOT_FINITE, naming the node.
        """
        most = _positions_that_fit(network, sum(len(batch.weights) for batch in batches))
        walk = Walk(view, network.route, batches)
        values: dict[str, list[SiteValues]] = {}
        states: dict[str, list[Tensor]] = {}
        taps: list[Site | RecurrentTap] = [*network.sites, *network.recurrences]
        for tap in sorted(taps, key=lambda tap: tap.place):
            if isinstance(tap, Site):
                reader = _Reader(network.model, tap, most)
                found = walk.advance(tap.place + 1, reader.fetch)
                values[tap.node] = [
                    reader.values(value, len(batch.weights))
                    for batch, value in zip(batches, found, strict=True)
                ]
                _check_finite(tap.node, values[tap.node])
                step(tap.node)
            else:
                found = walk.advance(tap.place + 1, [tap.value])
                states[tap.node] = [
                    _some_states(
                        value[tap.value] * read_steps(network, view, batch, tap),
                        tap,
                        len(batch.weights),
                        most,
                    )
                    for batch, value in zip(batches, found, strict=True)
                ]
        return cls(network, batches, values, states)

    @property
    def device(self) -> torch.device:
        """Where the values are."""
        return next(iter(self._values.values()))[0].read.device

    def at(self, site: Site) -> Sequence[SiteValues]:
        """The values of one site, minibatch by minibatch."""
        return self._values[site.node]

    def outputs(self, site: Site) -> int:
        """Columns of the matrix of a site's node."""
        return self._values[site.node][0].made.shape[1]

    def states(self, node: str) -> Sequence[Tensor]:
        """States of a recurrent node at drawn steps, `(n·p, units)`, minibatch by minibatch.

        Zero at steps behind which nothing is read (`read_steps`).
        """
        return self._states[node]


def _check_finite(node: str, values: Sequence[SiteValues]) -> None:
    if not all(torch.isfinite(part).all() for one in values for part in (one.read, one.made)):
        raise not_finite(f"{node} reads or computes values", {"node": node})


def rows_at(value: Tensor, site: Site, samples: int, chosen: Tensor) -> Tensor:
    """What a node reads, at some of its positions.

    Args:
        value: The value, whole or cut.
        site: Where it is read.
        samples: n.
        chosen: Positions, int64 `(p,)`, numbered in row-major order.

    Returns:
        `(n·p, places)`, of n pictures where several are merged into the batch for a sample; all
        rows of a sample follow each other.
    """
    first = sample_first(value, site)
    return _chosen(first, site.axis, _entries(first, site, samples), chosen)


def sample_first(value: Tensor, site: Site) -> Tensor:
    """What a node reads, with the samples on the first axis."""
    return value.movedim(site.sample_axis, 0) if site.sample_axis else value


def apart(value: Tensor, site: Site, samples: int) -> Tensor:
    """What a dense node reads, one entry per sample on the first axis.

    Exporters merge positions into the batch, samples in front: `(n·p, k)` is `(n, p, k)`.
    """
    value = sample_first(value, site)
    if len(value) == samples or site.axis != value.dim() - 1:
        return value
    return value.reshape(samples, -1, value.shape[-1])


def _entries(value: Tensor, site: Site, samples: int) -> int:
    """Entries of the first axis that each have positions of their own.

    A dense node's are the samples; a convolution may read several pictures of every sample.
    """
    return samples if site.axis == value.dim() - 1 else len(value)


def _chosen(value: Tensor, axis: int, samples: int, chosen: Tensor) -> Tensor:
    moved = value.movedim(axis, -1)
    rows = moved.reshape(samples, -1, moved.shape[-1])
    if len(chosen) < rows.shape[1]:
        rows = rows[:, chosen.to(rows.device)]
    return rows.reshape(-1, rows.shape[-1])


class _Reader:
    """Takes from the values of a minibatch what is kept of one site."""

    def __init__(self, model: ir.Model, site: Site, most: int) -> None:
        node = nodes_by_name(model.graph)[site.node]
        _, facet, _ = linear_parts(model, node)
        self._model = model
        self._site = site
        self._most = most
        self._output = str(node.outputs[0].name) if facet.is_output else None
        self._bias = torch.zeros(1)
        if facet.is_output and facet.bias_input is not None:
            bias = node.inputs[facet.bias_input] if len(node.inputs) > facet.bias_input else None
            tensor = constant_of(bias)
            if tensor is not None:
                self._bias = torch.from_numpy(tensor.numpy().copy())
        self._axis = facet.data_axis
        self._matrix = torch.from_numpy(weight_matrix(model, site.node)[0].astype("float32"))
        self._random = torch.Generator().manual_seed(site.place)

    @property
    def fetch(self) -> list[str]:
        """The values that are looked at."""
        return [self._site.value] if self._output is None else [self._site.value, self._output]

    def values(self, found: Mapping[str, Tensor], samples: int) -> SiteValues:
        """What is kept of a minibatch."""
        site = self._site
        data = sample_first(found[site.value], site)
        entries = _entries(data, site, samples)
        if self._output is None:
            read_at = made_at = self._drawn(data.numel() // (site.width * entries))
            rows = patches(self._model, site.node, apart(found[site.value], site, samples), made_at)
            made = rows @ self._matrix.to(rows)
        else:
            output = found[self._output]
            if site.sample_axis:
                output = output.movedim(site.sample_axis, 0)
            width = output.shape[self._axis]
            made_at = self._drawn(output.numel() // (width * entries))
            read_at = made_at
            if data.numel() // (site.width * entries) != output.numel() // (width * entries):
                read_at = self._drawn(data.numel() // (site.width * entries))
            made = _chosen(output, self._axis, entries, made_at)
            made = made - self._bias.to(made)
        read = _chosen(data, site.axis, entries, read_at)
        return SiteValues(read, made, read_at, made_at)

    def _drawn(self, positions: int) -> Tensor:
        """At most `most` positions, others for every minibatch."""
        return torch.randperm(positions, generator=self._random)[: self._most].sort().values


def _some_states(value: Tensor, tap: RecurrentTap, samples: int, most: int) -> Tensor:
    """States `(steps, 1, n, units)` as rows, at steps that are spread evenly."""
    rows = value.movedim(tap.sample_axis, 0).reshape(samples, -1, value.shape[-1])
    chosen = torch.linspace(0, rows.shape[1] - 1, min(most, rows.shape[1])).round().long()
    return rows[:, chosen].reshape(-1, rows.shape[-1])


def _positions_that_fit(network: Network, samples: int) -> int:
    """How many positions a sample `KEPT_BYTES` have room for, at most `POSITIONS`."""
    shaped = with_shapes(network.model)
    nodes = nodes_by_name(shaped.graph)
    sizes = []
    for site in network.sites:
        node = nodes[site.node]
        made = dims_of(node.outputs[0])
        read = dims_of(node.inputs[0])
        for dims, width in ((read, site.width), (made, _width(made, site))):
            positions = max(1, prod(size or 1 for size in dims) // width)
            sizes.append((positions, width))
    for most in range(POSITIONS, 1, -1):
        floats = sum(min(most, positions) * width for positions, width in sizes)
        if 4 * floats * samples <= KEPT_BYTES:
            return most
    return 1


def _width(dims: tuple[int | None, ...], site: Site) -> int:
    """Places on the axis of an output that the node makes."""
    axis = site.axis if site.axis < len(dims) else -1
    return dims[axis] or 1
