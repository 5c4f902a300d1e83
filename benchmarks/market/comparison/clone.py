"""Partial network cloning: the other origins' classes put into the origin of the first class.

The target keeps all of its classes, as a clone does. Every source's part is its class's fragment,
put in by itself; then one classifier asks the target, or one of the parts, as
`packer_svc.cloning.head` does for a single part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from scipy.special import softmax

from benchmarks.market.clone_samples import clone_samples
from benchmarks.market.comparison.case import Case, Clock, Labels, Made
from benchmarks.market.comparison.fragments import Fragments
from onnxgraph.classifier import FEATURES, SCORES
from onnxgraph.cost import cost
from onnxgraph.merge import Branch, merge
from onnxgraph.serialise import from_trusted_bytes
from packer_svc.cloning.choice import Cloning, put_in
from packer_svc.cloning.taps import tapped
from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.fit import fit_head, head_logits
from packer_svc.fusion.heads.model import Head
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.samples import PackSamples

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Gate:
    """Who is asked.

    Attributes:
        graphs: What it reads: target and parts.
        head: A discriminant analysis of the target's classes and the cloned ones.
        log_loss: Of samples that it had not seen.
    """

    graphs: Sequence[bytes]
    head: Head
    log_loss: float


def cloned(case: Case, fragments: Fragments, position: str) -> Made:
    """Clones every class but the first into the first one's origin.

    Args:
        case: The wanted pack.
        fragments: The parts.
        position: Where they are put in; empty to have it chosen for each of them.
    """
    bench, trial = case.bench, case.trial
    first, *sources = bench.task.sources(case.target)
    own = bench.originals[first.origin].recipe.classes
    classes = (*own, *(source.label for source in sources))
    target = bench.originals[first.origin].whole
    parts = fragments.of(case)[1:]
    clock = Clock(fragments.seconds(case))
    with clock.running():
        branches = []
        for part, source in zip(parts, sources, strict=True):
            seen = clone_samples(bench, case.draw, (*own, source.label))
            wish = Cloning(target, part, seen, len(own), (source.place,), trial.seed)
            branches.append(put_in(wish, position, bench.progress.tell).branch)
        gate = _gate(case, [target, *branches], clone_samples(bench, case.draw, classes), len(own))
    shown = trial.store.outputs(gate.graphs, trial.test)
    said = _probabilities(gate.head, shown, len(own))
    wanted = [first.place, *range(len(own), len(classes))]
    named: Labels = said[:, wanted].argmax(axis=1).astype(np.int64)
    size, layer = cost(_side_by_side(gate.graphs)), gate.head.folded()
    weights, biases = layer.weight.size, layer.bias.size
    return Made(named, size.parameters + weights + biases, size.macs + weights, clock.seconds)


def _side_by_side(graphs: Sequence[bytes]) -> ir.Model:
    """Target and parts as one graph: what is put in behind the target's front shares that."""
    branches = [
        Branch(from_trusted_bytes(graph, shapes=False), f"part{number}.", (FEATURES, SCORES))
        for number, graph in enumerate(graphs)
    ]
    return merge(branches, lambda _, ends: [value for end in ends for value in end])


def _gate(case: Case, graphs: Sequence[bytes], samples: PackSamples, own: int) -> _Gate:
    """Fitted with taps and without; what does better on samples unseen."""
    found = []
    for read in (list(graphs), [tapped(graph) for graph in graphs]):
        features = case.trial.store.outputs(read, samples.inputs)
        classes = own + len(graphs) - 1
        serves = [range(own), *([place] for place in range(own, classes))]
        spec = HeadSpec(seed=case.trial.seed)
        head, report = fit_head(features, samples.labels, classes, spec, serves=serves)
        held_out = report.cross_validation
        assert held_out is not None
        found.append(_Gate(read, head, held_out.log_loss))
    return min(found, key=lambda gate: gate.log_loss)


def _probabilities(head: Head, features: Sequence[FragmentFeatures], own: int) -> Array:
    """Among its own classes a clone decides exactly as its target does."""
    asked = softmax(head_logits(head, features), axis=1)
    target = softmax(features[0].scores.astype(np.float64), axis=1)
    side = asked[:, :own].sum(axis=1, keepdims=True)
    return np.concatenate([target * side, asked[:, own:]], axis=1)
