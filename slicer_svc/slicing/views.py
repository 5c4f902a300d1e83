"""All views that a class is fitted on."""

import numpy as np

from slicer_svc.slicing.augmentation import Augmentation, augmented
from slicer_svc.slicing.samples import UNLABELLED, Samples


def views_of(samples: Samples, augmentation: Augmentation, views: int, seed: int) -> Samples:
    """Views of samples, and of those without a label half as many in all as of the others.

    Args:
        samples: Labelled samples, and perhaps others.
        augmentation: What may be done to the inputs.
        views: Views per labelled sample, the sample itself included, at least 1.
        seed: Seed of the draws; equal seeds give equal views.

    Returns:
        Labelled views, then the others.
    """
    known = samples.labelled
    found = augmented(known, augmentation, views, seed)
    rest = np.flatnonzero(samples.labels == UNLABELLED)
    if not rest.size:
        return found
    others = samples.take(rest.astype(np.int64))
    # As many as of the others made slicing half as slow again, and no pack better (T1).
    fewer = max(1, views * len(known) // (2 * len(others)))
    return found.joined(augmented(others, augmentation, min(views, fewer), seed))
