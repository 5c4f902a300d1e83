"""Size of a unit's own weights, no sample looked at (Li et al., Pruning Filters, ICLR 2017)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from onnxgraph.groups import UnitGroup
from slicer_svc.slicing.criteria.evidence import Evidence, ranked
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.repairs import Units


def l1_norm(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """`l1`: s_j = Σ |W_j| over the kernel of unit j (there: s_j = Σ_i Σ|K_{j,i}|).

    Biases are left out. Units that several layers compute together (a residual width) count with
    the kernels of all of them.
    """
    network = evidence.case.network
    return ranked({group.id: _norms(network, group) for group in network.groups}, counts)


def _norms(network: Network, group: UnitGroup) -> NDArray[np.float64]:
    total = np.zeros(group.units)
    for use in group.parameters:
        tensor = network.model.graph.initializers[use.parameter].const_value
        assert tensor is not None
        if use.node not in group.producers or len(tensor.shape) < 2:
            continue
        array = np.abs(tensor.numpy().astype(np.float64))
        by_place = array.sum(axis=tuple(a for a in range(array.ndim) if a != use.axis))
        inside = use.units >= 0
        np.add.at(total, use.units[inside], by_place[inside])
    return total
