"""How a model is to be sliced: the method and all of its settings."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from slicer_svc.slicing.errors import SlicingError, invalid_field

DEFAULT_BETA = 0.5
"""Share of units kept where neither β nor a budget is given (the paper's setting)."""


class Method(StrEnum):
    """How the units of a class are chosen and the rest made up for."""

    CLOSED_FORM = "closed_form"
    RATE = "rate"
    THRESHOLD = "threshold"


@dataclass(frozen=True)
class Recipe:
    """Settings of one slicing run, checked when made.

    At most one of `beta`, `budget_params` and `budget_macs` is given; without any of them β is
    `DEFAULT_BETA`. Where the paper is silent (steps, learning rate, α, γ) the defaults were set
    so that a small convolutional network takes seconds a class on one core.

    Attributes:
        method: `closed_form` (no gradient), or the paper's `rate` (Eq. 6) or `threshold` (Eq. 5).
        beta: Share of every group's units that is kept, in (0, 1].
        budget_params: Parameters of a fragment as a fraction of the original's, in (0, 1].
        budget_macs: MACs of a fragment as a fraction of the original's, in (0, 1].
        steps: Gradient steps of pooling and again of adaptation, per group (`rate`, `threshold`).
        seed: Seed of the augmented views.
        views: Views of every sample, the sample itself included.
        alpha: Weight of the pooling penalty of Eq. 4, relative to its value before training.
        gamma: Weight of the consistency term of Eq. 8, relative to the original's features.
        learning_rate: Adam's learning rate in pooling and adaptation.
    """

    method: Method = Method.CLOSED_FORM
    beta: float | None = None
    budget_params: float | None = None
    budget_macs: float | None = None
    steps: int = 20
    seed: int = 0
    views: int = 8
    alpha: float = 0.01
    gamma: float = 1.0
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            SlicingError: FIELD_INVALID, naming the field.
        """
        shares = {
            "beta": self.beta,
            "budget_params": self.budget_params,
            "budget_macs": self.budget_macs,
        }
        given = {name: share for name, share in shares.items() if share is not None}
        for name, share in given.items():
            if not 0 < share <= 1:
                raise _invalid(name, f"{share} is outside of (0, 1]")
        if len(given) > 1:
            raise _invalid(" and ".join(given), "only one of β and the budgets can hold")
        if self.method is Method.THRESHOLD and (self.budget_params or self.budget_macs):
            raise _invalid("method", "a threshold decides by itself how many units stay")
        for name, number, least in (("steps", self.steps, 0), ("views", self.views, 1)):
            if number < least:
                raise _invalid(name, f"{number} is below {least}")
        for name, weight in (("alpha", self.alpha), ("gamma", self.gamma)):
            if not 0 <= weight < float("inf"):
                raise _invalid(name, f"{weight} is not a finite number of at least 0")
        if not 0 < self.learning_rate < float("inf"):
            raise _invalid("learning_rate", f"{self.learning_rate} is not a positive number")

    @property
    def share(self) -> float:
        """β, or its default where neither β nor a budget is given."""
        return DEFAULT_BETA if self.beta is None else self.beta

    @property
    def has_budget(self) -> bool:
        """Whether a budget, not β, sets how many units stay."""
        return self.budget_params is not None or self.budget_macs is not None

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            SlicingError: FIELD_INVALID where a field is unknown or out of its range.
        """
        try:
            return cls(**{**data, "method": Method(data["method"])})
        except (TypeError, KeyError, ValueError) as error:
            raise _invalid("recipe", str(error)) from error


def _invalid(field: str, message: str) -> SlicingError:
    return invalid_field(field, message, "Correct the field or leave it out to get its default.")
