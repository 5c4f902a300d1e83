"""Evidence of one class of a small model, its Gram matrices measured the plain way."""

import torch

from onnxgraph.linear import unit_rows
from onnxgraph.view import TorchView
from slicer_svc.slicing.class_data import ClassCase
from slicer_svc.slicing.criteria.activity import measure_activity
from slicer_svc.slicing.criteria.evidence import Evidence, Matrices, metrics_of
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.samples import Samples, class_weights


def evidence_of(network: Network, samples: Samples, target: int, recipe: Recipe) -> Evidence:
    """What a criterion may look at, for samples without further views."""
    view = TorchView(network.model)
    return Evidence(
        case=ClassCase(network, view, samples, (target,), recipe),
        grams=lambda: _grams(network, view, samples, target),
        metrics=lambda: metrics_of(network),
        activity=lambda: measure_activity(network, view, samples),
    )


def _grams(network: Network, view: TorchView, samples: Samples, target: int) -> Matrices:
    inputs = {name: torch.from_numpy(array.copy()) for name, array in samples.inputs.items()}
    weights = torch.from_numpy(class_weights(samples.labels, (target,)))
    found = {}
    with torch.no_grad():
        for site in network.sites:
            value = view.run(inputs, fetch=[site.value])[site.value]
            for group, consumer in site.reads.items():
                rows = unit_rows(consumer, value).double()
                per_row = weights.repeat_interleave(len(rows) // len(weights))[:, None]
                found[site.node, group] = (rows.T @ (rows * per_row)).numpy()
    return found
