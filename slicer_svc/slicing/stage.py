"""One layer of a network on the paper's path: where pooling and adaptation work."""

from dataclasses import dataclass

from onnxgraph.groups import UnitGroup
from slicer_svc.slicing.assembly import Assembly
from slicer_svc.slicing.class_data import ClassCase
from slicer_svc.slicing.layer import Layer
from slicer_svc.slicing.prefix import Prefix
from slicer_svc.slicing.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Stage:
    """The layer m_i with the network around it and the samples in front of it.

    Attributes:
        assembly: The network, the layers before m_i finished.
        group: The units of m_i.
        layer: The parameters of m_i.
        own: Class c's samples in front of m_i.
        mixed: Class c's samples and the rest's in front of m_i.
        whole: The latter in the original.
        classes: Class c, or several in its place.
        energy: Mean of ‖M(x)‖²: the size of a feature error.
        recipe: Settings.
    """

    assembly: Assembly
    group: UnitGroup
    layer: Layer
    own: Prefix
    mixed: Prefix
    whole: Prefix
    classes: tuple[int, ...]
    energy: float
    recipe: Recipe


class Stages:
    """A network on its way from the first layer to the last.

    Attributes:
        assembly: The network, changed layer by layer.
    """

    def __init__(self, case: ClassCase) -> None:
        self.assembly = Assembly(case.network, case.device)
        self._case = case
        self._own = Prefix(self.assembly, case.data.own)
        self._mixed = Prefix(self.assembly, case.data.mixed)
        self._whole = Prefix(Assembly(case.network, case.device), case.data.mixed)

    def at(self, group: UnitGroup) -> Stage:
        """Goes on to a group, which must not start before the last one."""
        for prefix in (self._own, self._mixed, self._whole):
            prefix.advance(self.assembly.start(group))
        return Stage(
            assembly=self.assembly,
            group=group,
            layer=Layer(self.assembly, group),
            own=self._own,
            mixed=self._mixed,
            whole=self._whole,
            classes=self._case.classes,
            energy=self._case.data.energy,
            recipe=self._case.recipe,
        )
