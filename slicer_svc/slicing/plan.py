"""The plan: how many units of every group stay, what that costs, and why the rest is whole."""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from slicer_svc.slicing.errors import invalid_field
from slicer_svc.slicing.recipe import Recipe


@dataclass(frozen=True)
class Curve:
    """How the model's features suffer when one group alone is cut and repaired.

    Attributes:
        group: The group's id.
        units: Units of the whole group.
        kept: Units kept at each point, rising, all below `units`; empty for a group of one unit.
        errors: Relative squared error of the final features at each point, falling.
    """

    group: str
    units: int
    kept: tuple[int, ...]
    errors: tuple[float, ...]

    def error(self, kept: int) -> float:
        """The error with `kept` units, linear between the points; 0 for the whole group."""
        return float(self.errors_at(np.array([kept]))[0])

    def errors_at(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """The errors with several numbers of units, `(n,)`."""
        points = [0, *self.kept, self.units]
        worst = max((1.0, *self.errors))
        return np.interp(counts, points, [worst, *self.errors, 0.0])


@dataclass(frozen=True)
class GroupPlan:
    """What becomes of one unit group.

    Attributes:
        group: The group's id.
        nodes: The nodes that produce its units.
        units: Units before.
        kept: Units after. The method `threshold` decides per class: there it is what the whole
            model's activations over all classes lead one to expect.
        parameters_before: Floating parameters of the producing nodes; of a node that produces the
            units of several groups, the part that is this group's.
        parameters_after: The same in a fragment.
        macs_before: MACs of the same per sample.
        macs_after: The same in a fragment.
        bytes_before: Bytes of the same parameters.
        bytes_after: The same in a fragment.
        predicted_error: Relative squared error of the features if this group alone were cut so.
        grain: What `kept` is a multiple of unless it is `units`, for blocks of channels; 1 is no
            block.
    """

    group: str
    nodes: tuple[str, ...]
    units: int
    kept: int
    parameters_before: int
    parameters_after: int
    macs_before: int
    macs_after: int
    bytes_before: int
    bytes_after: int
    predicted_error: float
    grain: int = 1


@dataclass(frozen=True)
class Latency:
    """How long a model takes for one sample on one thread.

    Attributes:
        machine: What it was measured on: the processor and the runtime.
        before_ms: The whole model, as measured.
        after_ms: A fragment, as predicted.
    """

    machine: str
    before_ms: float
    after_ms: float


@dataclass(frozen=True)
class KeptWhole:
    """Nodes that are not sliced.

    Attributes:
        nodes: Their names.
        reason: Why, as one sentence.
    """

    nodes: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Plan:
    """How a model is sliced, the same for all of its classes; plain data.

    Attributes:
        recipe: The settings that it was made for.
        groups: Every unit group, from the front to the back of the model.
        whole: The parts that are kept whole.
        parameters_before: Floating parameters of the model.
        parameters_after: Those of a fragment.
        macs_before: MACs of the model per sample.
        macs_after: Those of a fragment.
        bytes_before: Bytes of the model's parameters.
        bytes_after: Those of a fragment.
        predicted_error: Sum of the groups' predicted errors.
        curves: What the prediction rests on; with them a plan for another budget needs no
            measurement.
        latency: Times before and after; None unless the recipe asks for them.
    """

    recipe: Recipe
    groups: tuple[GroupPlan, ...]
    whole: tuple[KeptWhole, ...]
    parameters_before: int
    parameters_after: int
    macs_before: int
    macs_after: int
    bytes_before: int
    bytes_after: int
    predicted_error: float
    curves: tuple[Curve, ...]
    latency: Latency | None = None

    @property
    def kept(self) -> dict[str, int]:
        """Units kept, by group."""
        return {group.group: group.kept for group in self.groups}

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back, equal plans to equal data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            SlicingError: FIELD_INVALID where the data is no plan.
        """
        latency = data.get("latency")
        try:
            return cls(
                **{
                    **data,
                    "recipe": Recipe.from_json(data["recipe"]),
                    "groups": tuple(
                        GroupPlan(**{**group, "nodes": tuple(group["nodes"])})
                        for group in data["groups"]
                    ),
                    "whole": tuple(
                        KeptWhole(tuple(part["nodes"]), part["reason"]) for part in data["whole"]
                    ),
                    "curves": tuple(curve_from_json(curve) for curve in data["curves"]),
                    "latency": None if latency is None else Latency(**latency),
                }
            )
        except (TypeError, KeyError, ValueError) as error:
            raise invalid_field("plan", str(error), "Make the plan anew.") from error


def curve_from_json(data: dict[str, Any]) -> Curve:
    """Reads the plain data of one curve."""
    kept, errors = tuple(data["kept"]), tuple(data["errors"])
    return Curve(data["group"], data["units"], kept, errors)
