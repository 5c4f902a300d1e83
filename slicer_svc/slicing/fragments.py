"""Slicing classes out of a model as a plan says, each yielded the moment it is done."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.cost import Cost, cost
from onnxgraph.view import TorchView
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.class_slicer import ClassSlicer, steps_per_class
from slicer_svc.slicing.device import fastest_device
from slicer_svc.slicing.errors import SlicingError, SlicingReason, invalid_field
from slicer_svc.slicing.features import restored_features
from slicer_svc.slicing.measures import RelativeError, flat
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.plan import Plan
from slicer_svc.slicing.progress import Progress, Report, Step, ignore
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.samples import Samples, class_pool, class_weights
from slicer_svc.slicing.sliced import Sliced
from slicer_svc.slicing.views import views_of
from slicer_svc.slicing.walk import minibatches


@dataclass(frozen=True, eq=False)
class SlicedClass:
    """What is left of a model for one class, or for several together.

    Attributes:
        classes: The class indices in the model, rising.
        model: The fragment's graph, with the outputs `features` `(N, F)` and `scores` `(N, C)`.
        kept: Kept units by group, sorted.
        feature_width: F.
        cost: What the fragment costs.
        feature_error: Relative squared error of the repaired features against the whole model's,
            on the samples, class-weighted.
        score_error: The same of the class scores.
    """

    classes: tuple[int, ...]
    model: ir.Model
    kept: Mapping[str, Units]
    feature_width: int
    cost: Cost
    feature_error: float
    score_error: float


def slice_classes(
    model: ir.Model,
    samples: Samples,
    plan: Plan,
    classes: Sequence[int],
    *,
    augment: Augmentation,
    report: Report = ignore,
) -> Iterator[SlicedClass]:
    """Slices classes one after the other; the request is checked before the first is begun.

    Args:
        model: A normalised model.
        samples: Its samples; each class asked for needs one. The closed form also reads those
            without a label.
        plan: A plan of this model.
        classes: Class indices, at least one, each once.
        augment: Which views its inputs allow.
        report: Told about every node or group of every class.

    Returns:
        An iterator that yields each class the moment it is done, in the given order. Equal
        arguments give equal fragments.

    Raises:
        GraphError: GRAPH_NO_LINEAR_CLASSIFIER.
        SlicingError: FIELD_INVALID for a plan of another model or an empty or repeating list of
            classes, CLASS_UNKNOWN, SAMPLES_CLASS_MISSING, GRAPH_NO_SLICEABLE_UNIT.
    """
    slicer = _slicer(model, samples, plan, classes, augment)
    return _slices(slicer, [(label,) for label in classes], report)


def slice_jointly(
    model: ir.Model,
    samples: Samples,
    plan: Plan,
    classes: Sequence[int],
    *,
    augment: Augmentation,
    report: Report = ignore,
) -> Iterator[SlicedClass]:
    """Cuts a model once to what several classes need; the request is checked before.

    What one class's samples decide in `slice_classes` those of all these classes decide here, each
    class weighing the same: which units stay, and what they are fitted to.

    Args:
        model: A normalised model.
        samples: As of `slice_classes`.
        plan: A plan of this model.
        classes: Class indices, at least one, each once, in any order.
        augment: Which views its inputs allow.
        report: Told about every node or group.

    Returns:
        An iterator over the one graph for all of them; of one class it is what `slice_classes`
        makes of it.

    Raises:
        GraphError: As of `slice_classes`.
        SlicingError: As of `slice_classes`.
    """
    slicer = _slicer(model, samples, plan, classes, augment)
    return _slices(slicer, [tuple(sorted(classes))], report)


def _slicer(
    model: ir.Model,
    samples: Samples,
    plan: Plan,
    classes: Sequence[int],
    augment: Augmentation,
) -> "_Slicer":
    network = Network.of(model)
    _check_plan(network, plan)
    _check_classes(classes, network.classifier.classes, samples)
    return _Slicer(network, samples, plan, augment)


def _slices(
    slicer: "_Slicer", cuts: Sequence[tuple[int, ...]], report: Report
) -> Iterator[SlicedClass]:
    total = slicer.steps * len(cuts)
    done = 0
    for classes in cuts:
        named = classes[0] if len(classes) == 1 else None

        def step(layer: str, named: int | None = named) -> None:
            nonlocal done
            done += 1
            report(Progress("slice", named, layer, done, total))

        yield slicer.slice(classes, step)


class _Slicer:
    """Slices class after class; classes with the same samples share all that they can."""

    def __init__(
        self, network: Network, samples: Samples, plan: Plan, augment: Augmentation
    ) -> None:
        self._network = network
        self._all = samples
        self._plan = plan
        self._augment = augment
        self._view = TorchView(network.model).to(fastest_device())
        self._pool = np.zeros(0, dtype=np.int64)
        self._samples = samples
        self._classes: ClassSlicer | None = None

    @property
    def steps(self) -> int:
        """Steps of progress per class."""
        return steps_per_class(self._network, self._plan.recipe)

    def slice(self, classes: tuple[int, ...], step: Step) -> SlicedClass:
        """Slices one class, or several together, out of the model."""
        return self._finished(classes, self._slicer_of(classes).slice(classes, step))

    def _slicer_of(self, classes: tuple[int, ...]) -> ClassSlicer:
        pool = class_pool(self._all.labels, classes)
        if self._classes is None or not np.array_equal(pool, self._pool):
            recipe = self._plan.recipe
            self._pool, self._samples = pool, self._all.take(pool)
            allowed = self._augment.of_the_same_class if recipe.reads_labels else self._augment
            views = views_of(self._samples, allowed, recipe.views, recipe.seed)
            self._classes = ClassSlicer(self._network, self._view, views, recipe, self._plan.kept)
        return self._classes

    def _finished(self, classes: tuple[int, ...], sliced: Sliced) -> SlicedClass:
        classifier = find_classifier(sliced.model)
        fragment = as_fragment(sliced.model, classifier)
        feature_error, score_error = self._errors(classes, sliced, classifier.feature)
        return SlicedClass(
            classes=classes,
            model=fragment,
            kept=sliced.kept,
            feature_width=classifier.feature_width,
            cost=cost(fragment),
            feature_error=feature_error,
            score_error=score_error,
        )

    def _errors(
        self, classes: tuple[int, ...], sliced: Sliced, feature: str
    ) -> tuple[float, float]:
        """Relative errors of features and scores on the samples themselves, class-weighted."""
        whole = self._network.classifier
        features, scores = RelativeError(), RelativeError()
        view = TorchView(sliced.model).to(self._view.device)
        samples = self._samples.labelled
        for batch in minibatches(samples, class_weights(samples.labels, classes)):
            with torch.no_grad():
                before = self._view.run(batch.inputs, fetch=[whole.feature, whole.scores])
                after = view.run(batch.inputs, fetch=[feature, whole.scores])
            repaired = restored_features(self._network, sliced, after[feature])
            features.add(flat(repaired), flat(before[whole.feature]), batch.weights)
            scores.add(flat(after[whole.scores]), flat(before[whole.scores]), batch.weights)
        return features.share, scores.share


def _check_plan(network: Network, plan: Plan) -> None:
    expected = [(group.id, group.units) for group in network.groups]
    if [(group.group, group.units) for group in plan.groups] != expected or any(
        not 1 <= group.kept <= group.units for group in plan.groups
    ):
        raise invalid_field("plan", "it is of another model", "Make a plan of this model.")


def _check_classes(classes: Sequence[int], known: int, samples: Samples) -> None:
    if not classes:
        raise invalid_field("classes", "the list is empty", "Name at least one class.")
    if len(set(classes)) < len(classes):
        raise invalid_field("classes", "a class occurs twice", "Name every class once.")
    for label in classes:
        if not 0 <= label < known:
            raise SlicingError(
                SlicingReason.CLASS_UNKNOWN,
                f"class {label} is outside of the model's {known} classes",
                advice=f"Use class indices from 0 to {known - 1}.",
                metadata={"class": str(label), "classes": str(known)},
            )
        if not np.any(samples.labels == label):
            raise SlicingError(
                SlicingReason.SAMPLES_CLASS_MISSING,
                f"class {label} has no sample",
                advice="Submit the model again with at least one sample of this class.",
                metadata={"class": str(label)},
            )
