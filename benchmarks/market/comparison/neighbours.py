"""Deep model reassembly, Model LEGO, and the ensemble of the originals."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from benchmarks.market.comparison.case import Case, Clock, Made
from benchmarks.paper.baselines.disassembly import assembled, parts_of
from benchmarks.paper.features import guesses
from benchmarks.paper.head import fit_ensemble
from benchmarks.paper.packs import make_pack
from benchmarks.paper.sizes import size_of
from onnxgraph.classifier import find_classifier
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from packer_svc.reassembly.cutting import cut
from packer_svc.reassembly.reassemble import Wish, reassemble
from packer_svc.reassembly.views import Pictures, with_views


def reassembled(case: Case) -> Made:
    """One chain of blocks of the task's origins, of any size, and the packer's head behind it.

    Stitches are fitted on the samples of all classes of the market, those of others without their
    labels: the same that Slice-and-Pack's slicer reads.
    """
    bench, trial = case.bench, case.trial
    names = bench.task.origins
    known = sorted({label for place in bench.originals for label in names[place]})
    rest = tuple(label for label in known if label not in case.target)
    others = case.draw.samples(rest, bench.input_name).inputs
    pictures = {bench.input_name: Pictures(channels_last=False, mirrored=True)}
    few = {name: array[:3] for name, array in trial.samples.inputs.items()}
    clock = Clock()
    with clock.running():
        models = [
            cut(str(place), to_bytes(one.model), few) for place, one in bench.originals.items()
        ]
        wish = Wish(
            trial.samples.inputs,
            trial.samples.labels,
            trial.classes,
            with_views(others, pictures, trial.seed),
            seed=trial.seed,
        )
        made = reassemble(models, wish, lambda phase, *_: bench.progress.tell(phase))
        graph = to_bytes(made.network.graph())
        pack = make_pack(
            [graph] * trial.classes,
            trial.samples.inputs,
            trial.samples.labels,
            trial.store,
            trial.seed,
        )
    named = guesses(pack.graph, trial.test, bench.setting.threads)
    return Made(named, pack.size.parameters, pack.size.macs, clock.seconds)


def lego(case: Case) -> Made:
    """Model LEGO's parts, padded into one network; of a part's class scores its own counts."""
    clock = Clock()
    with clock.running():
        parts = parts_of(case.trial)
    graphs = [from_trusted_bytes(part) for part in parts]
    sizes = [size_of(graph) for graph in graphs]
    return Made(
        assembled(case.trial, parts),
        sum(size.parameters for size in sizes) - sum(_others(graph, bias=1) for graph in graphs),
        sum(size.macs for size in sizes) - sum(_others(graph, bias=0) for graph in graphs),
        clock.seconds,
    )


def _others(part: ir.Model, bias: int) -> int:
    """Weights of the other classes' scores in a part's classifier."""
    found = find_classifier(part)
    return (found.classes - 1) * (found.feature_width + bias)


def ensemble(case: Case) -> Made:
    """The full originals with one head over all of their features and class scores."""
    trial, clock = case.trial, Clock()
    graphs = [original.whole for original in trial.different]
    with clock.running():
        seen = trial.store.outputs(graphs, trial.samples.inputs)
        head = fit_ensemble(seen, trial.samples.labels, trial.classes, trial.seed)
    tested = trial.store.kept_outputs(graphs, trial.test)
    named = head.logits(tested).argmax(axis=1).astype(np.int64)
    size = case.bench.ensemble_size(case.target)
    return Made(named, size.parameters, size.macs, clock.seconds)
