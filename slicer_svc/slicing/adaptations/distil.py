"""Short feature distillation of a finished fragment (ALGORITHM.md, section 3)."""

import torch

from onnxgraph.classifier import find_classifier
from onnxgraph.view import TorchView
from slicer_svc.slicing.class_data import ClassCase
from slicer_svc.slicing.features import restored_features
from slicer_svc.slicing.losses import faithfulness
from slicer_svc.slicing.measures import flat
from slicer_svc.slicing.progress import Step
from slicer_svc.slicing.sliced import Sliced

RATE_SHARE = 0.1
"""Adam's learning rate, as a share of the recipe's: the trial lost accuracy at 1e-3 and 1e-4."""


def distil(case: ClassCase, sliced: Sliced, step: Step) -> Sliced:
    """Trains all parameters that are left on the features of the original, class-weighted.

    Minimises ‖R·F(x) − M(x)‖² / ‖M(x)‖² by Adam over the recipe's steps, R the classifier's repair,
    which stays; so do the class scores' own weights, since no feature depends on them.

    Args:
        case: The class.
        sliced: The finished network.
        step: Told once, at the end.

    Returns:
        The same cut with other weights.
    """
    feature = find_classifier(sliced.model).feature
    view = TorchView(sliced.model).to(case.device)
    rate = RATE_SHARE * case.recipe.learning_rate
    optimizer = torch.optim.Adam(view.parameters(), lr=rate)
    for number in range(case.recipe.steps):
        batch = case.data.mixed[number % len(case.data.mixed)]
        cut = view.run(batch.inputs, fetch=[feature])[feature]
        features = flat(restored_features(case.network, sliced, cut))
        loss = faithfulness(features, batch.features, batch.weights) / case.data.energy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    step(feature)
    return Sliced(view.write_back(), sliced.kept, sliced.repairs)
