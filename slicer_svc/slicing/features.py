"""Features of a sliced network at full width, as the classifier's repair sees them."""

from torch import Tensor

from slicer_svc.slicing.network import Network
from slicer_svc.slicing.repairs import restored
from slicer_svc.slicing.sliced import Sliced
from slicer_svc.slicing.workbench import kept_places


def restored_features(network: Network, sliced: Sliced, features: Tensor) -> Tensor:
    """Cut features brought back to the original's width by the classifier's repairs.

    Args:
        network: The original.
        sliced: What is left of it.
        features: What the cut classifier reads.

    Returns:
        Features that compare with the original's; differentiable.
    """
    for site in network.sites:
        if site.node == network.classifier.node:
            places = kept_places(site, sliced.kept)
            return restored(features, site.reads, sliced.repairs, places, site.width)
    return features
