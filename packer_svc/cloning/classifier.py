"""The classifier of a clone, and whether it reads taps: by cross-validation on the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packer_svc.cloning.head import CloneHead, reported_clone_head
from packer_svc.cloning.taps import tapped
from packer_svc.fusion.features import Fragment, FragmentFeatures
from packer_svc.fusion.heads.model import HeadReport
from packer_svc.fusion.samples import PackSamples


@dataclass(frozen=True, eq=False)
class Classified:
    """A target and a part with their classifier.

    Attributes:
        fragments: What it reads: the target, and the part where there is one.
        features: What they compute on the samples.
        head: The classifier.
        report: How it was fitted, with cross-validated figures.
        tapped: Whether it reads maps in front of the last features.
    """

    fragments: tuple[Fragment, ...]
    features: tuple[FragmentFeatures, ...]
    head: CloneHead
    report: HeadReport
    tapped: bool


def classified(
    graphs: Sequence[bytes], samples: PackSamples, shape: CloneHead, seed: int
) -> Classified:
    """Fits the classifier with taps and without, and takes what does better on samples unseen.

    Args:
        graphs: The target, and the part as it is put in; with the outputs of fragments.
        samples: Of all classes.
        shape: Own classes and places of the cloned ones.
        seed: Of the folds.

    Raises:
        FusionError: The samples do not fit.
        GraphError: A graph cannot be run.
    """
    plain = _fitted(graphs, samples, shape, seed, taps=False)
    if not shape.places or plain.report.cross_validation is None:
        return plain
    with_taps = [tapped(graph) for graph in graphs]
    if all(one == other for one, other in zip(with_taps, graphs, strict=True)):
        return plain
    rich = _fitted(with_taps, samples, shape, seed, taps=True)
    assert rich.report.cross_validation is not None
    if rich.report.cross_validation.log_loss < plain.report.cross_validation.log_loss:
        return rich
    return plain


def _fitted(
    graphs: Sequence[bytes], samples: PackSamples, shape: CloneHead, seed: int, *, taps: bool
) -> Classified:
    fragments = tuple(Fragment(graph) for graph in graphs)
    features = tuple(fragment.run(samples.inputs) for fragment in fragments)
    head, report = reported_clone_head(features, samples.labels, shape, seed)
    return Classified(fragments, features, head, report, taps)
