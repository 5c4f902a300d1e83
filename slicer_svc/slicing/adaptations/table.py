"""All adaptations by their names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from slicer_svc.slicing.adaptations.distil import distil
from slicer_svc.slicing.adaptations.drop import Drop
from slicer_svc.slicing.adaptations.refit import Refit
from slicer_svc.slicing.adaptations.repair import Repair
from slicer_svc.slicing.adaptations.site import SiteAdaptation
from slicer_svc.slicing.class_data import ClassCase
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.progress import Step
from slicer_svc.slicing.recipe import Adaptation
from slicer_svc.slicing.sliced import Sliced
from slicer_svc.slicing.trained import adapt_given_units


class Finish(Protocol):
    """What is done about a network once all of its sites are adapted."""

    def __call__(self, case: ClassCase, sliced: Sliced, step: Step) -> Sliced:
        """The finished network; tells `step` of what it finishes."""


@dataclass(frozen=True)
class AdaptationPath:
    """One way for a sliced network to make up for its dropped units.

    Attributes:
        site: What each consumer does, from the front to the back.
        finish: What is done after the last one; None for nothing.
        told: How often `finish` tells of a step: for the whole network, or for every group.
    """

    site: SiteAdaptation
    finish: Finish | None = None
    told: Callable[[Network], int] = lambda _network: 0

    def steps(self, network: Network) -> int:
        """How often a class tells of a step: of every site, and what `finish` tells."""
        return len(network.sites) + self.told(network)


def train(case: ClassCase, sliced: Sliced, step: Step) -> Sliced:
    """`trained`: the paper's adaptation (Eq. 8) of the original for the units that are kept."""
    return adapt_given_units(case, sliced.kept, step)


ADAPTATIONS: Mapping[Adaptation, AdaptationPath] = {
    Adaptation.NONE: AdaptationPath(Drop()),
    Adaptation.REPAIR: AdaptationPath(Repair()),
    Adaptation.REFIT: AdaptationPath(Refit()),
    Adaptation.DISTIL: AdaptationPath(Refit(), distil, told=lambda _: 1),
    Adaptation.TRAINED: AdaptationPath(Drop(), train, told=lambda net: len(net.groups)),
}
