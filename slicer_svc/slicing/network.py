"""A model with everything about it that slicing asks for more than once."""

from dataclasses import dataclass
from typing import Self

import onnx_ir as ir

from onnxgraph.classifier import Classifier, find_classifier
from onnxgraph.groups import UnitGroup, WholePart, unit_groups
from onnxgraph.linear import weight_matrix, with_weight_matrix
from slicer_svc.slicing.embeddings import set_apart
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.walk import Route
from slicer_svc.slicing.workbench import RecurrentTap, Site, recurrent_taps, sites

_MOST_NAMED = 5
"""How many of the nodes that are in the way a refusal names."""


@dataclass(frozen=True, eq=False)
class Network:
    """A normalised model, analysed.

    Attributes:
        model: The model, never changed. Factors on the matrices of its sites (Gemm's alpha and
            beta) are multiplied in, so that giving a site another matrix changes weights alone.
        classifier: Its last linear node.
        groups: Its unit groups, from the front to the back.
        whole: The parts that cannot be sliced, with reasons.
        route: The order of its nodes.
        sites: The linear nodes that read cuttable units, from the front to the back.
        recurrences: The recurrent nodes that read their own units a step later.
    """

    model: ir.Model
    classifier: Classifier
    groups: tuple[UnitGroup, ...]
    whole: tuple[WholePart, ...]
    route: Route
    sites: tuple[Site, ...]
    recurrences: tuple[RecurrentTap, ...]

    @classmethod
    def of(cls, model: ir.Model) -> Self:
        """Analyses a normalised model.

        Raises:
            GraphError: GRAPH_NO_LINEAR_CLASSIFIER.
            SlicingError: GRAPH_NO_SLICEABLE_UNIT.
        """
        classifier = find_classifier(model)
        groups, whole = _analysed(model)
        if not groups:
            raise _nothing_to_slice(whole)
        plain = _without_factors(model, groups)
        groups, whole = _analysed(plain)
        route = Route(plain)
        taps = recurrent_taps(groups, route)
        return cls(plain, classifier, groups, whole, route, sites(groups, route), taps)


def _analysed(model: ir.Model) -> tuple[tuple[UnitGroup, ...], tuple[WholePart, ...]]:
    """Groups that may be cut, and what stays whole."""
    found, whole = unit_groups(model)
    groups, embeddings = set_apart(model, found)
    return groups, (*embeddings, *whole)


def _without_factors(model: ir.Model, groups: tuple[UnitGroup, ...]) -> ir.Model:
    copy = model.clone()
    for node in {consumer.node for group in groups for consumer in group.consumers}:
        with_weight_matrix(copy, node, weight_matrix(copy, node)[0], None)
    return copy


def _nothing_to_slice(whole: tuple[WholePart, ...]) -> SlicingError:
    reasons = list(dict.fromkeys(part.reason for part in whole))
    named = "; ".join(reasons[:_MOST_NAMED]) or "it has no hidden layer"
    more = f"; and {len(reasons) - _MOST_NAMED} more" if len(reasons) > _MOST_NAMED else ""
    return SlicingError(
        SlicingReason.GRAPH_NO_SLICEABLE_UNIT,
        f"no unit of the model can be cut: {named}{more}",
        advice="Submit a network with at least one hidden convolutional or dense layer whose "
        "units reach the next one without a node that normalises over them, sums them up or adds "
        "them to what is not cut.",
    )
