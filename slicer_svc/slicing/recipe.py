"""How a model is to be sliced: the method and all of its settings."""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

from slicer_svc.slicing.errors import SlicingError, invalid_field

DEFAULT_BETA = 0.5
"""Share of units kept where neither β nor a budget is given (the paper's setting)."""

MAX_BLOCK = 1024
"""The largest block of units that a recipe may ask for."""


class Method(StrEnum):
    """How the units of a class are chosen and the rest made up for."""

    CLOSED_FORM = "closed_form"
    RATE = "rate"
    THRESHOLD = "threshold"
    THRESHOLD_PLAIN = "threshold_plain"


THRESHOLDS = frozenset({Method.THRESHOLD, Method.THRESHOLD_PLAIN})
"""The methods that decide by themselves how many units of a class stay (Eq. 5)."""


class Criterion(StrEnum):
    """By what `closed_form` orders the units of a group; all but `subset` are for comparison."""

    SUBSET = "subset"
    SUBSET_IDENTITY = "subset_identity"
    RANDOM = "random"
    L1 = "l1"
    ACTIVATION_NORM = "activation_norm"
    POOLED_ACTIVATION_NORM = "pooled_activation_norm"
    CLASS_TAYLOR = "class_taylor"
    VARIANCE = "variance"
    LEGO = "lego"
    LEARNED_MASK = "learned_mask"
    CLASSIFIER_NORM = "classifier_norm"


class Adaptation(StrEnum):
    """How `closed_form` makes up for dropped units; all but `refit` are for comparison."""

    REFIT = "refit"
    REPAIR = "repair"
    NONE = "none"
    TRAINED = "trained"
    DISTIL = "distil"


LABEL_READERS = frozenset({Criterion.CLASS_TAYLOR, Criterion.LEGO, Criterion.LEARNED_MASK})
"""The criteria that look at what a sample's class is."""


@dataclass(frozen=True)
class Recipe:
    """Settings of one slicing run, checked when made.

    At most one of `beta` and the budgets is given; without any of them β is `DEFAULT_BETA`. Where
    the paper is silent (steps, learning rate, α, γ) the defaults were set so that a small
    convolutional network takes seconds a class on one core.

    Attributes:
        method: `closed_form` (no gradient), or the paper's `rate` (Eq. 6) or `threshold` (Eq. 5;
            `threshold_plain` with 1 − β itself, as the AAAI version prints it).
        criterion: By what `closed_form` orders units; the paper's methods have their own.
        adaptation: How `closed_form` makes up for dropped units; the paper's methods have theirs.
        beta: Share of every group's units that is kept, in (0, 1].
        budget_params: Parameters of a fragment as a fraction of the original's, in (0, 1].
        budget_macs: MACs of a fragment as a fraction of the original's, in (0, 1].
        budget_bytes: Bytes of a fragment's initializers as a fraction of the original's, in (0, 1].
        budget_latency: Predicted time of a fragment for one sample on one thread of the machine
            that plans, as a fraction of the original's, in (0, 1].
        budget_latency_ms: The same in milliseconds, above 0.
        block: With a budget, units of a group are kept in multiples of this number, or all of
            them; 1 is no block, None the block that suits the machine that plans (`blocks.py`).
        predict_latency: Whether the plan tells the predicted time, also under another budget.
        steps: Gradient steps of pooling and again of adaptation, per group, where one trains.
        seed: Seed of the augmented views.
        views: Views of every sample, the sample itself included.
        alpha: Weight of the pooling penalty of Eq. 4, relative to its value before training.
        gamma: Weight of the consistency term of Eq. 8, relative to the original's features.
        learning_rate: Adam's learning rate in pooling and adaptation. At 1e-3 twenty steps a layer
            destroy a VGG16 whose BatchNormalization is folded.
    """

    method: Method = Method.CLOSED_FORM
    criterion: Criterion = Criterion.SUBSET
    adaptation: Adaptation = Adaptation.REFIT
    beta: float | None = None
    budget_params: float | None = None
    budget_macs: float | None = None
    budget_bytes: float | None = None
    budget_latency: float | None = None
    budget_latency_ms: float | None = None
    block: int | None = None
    predict_latency: bool = False
    steps: int = 20
    seed: int = 0
    views: int = 8
    alpha: float = 0.01
    gamma: float = 1.0
    learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            SlicingError: FIELD_INVALID, naming the field.
        """
        self._check_size()
        self._check_method()
        for name, number, least in (("steps", self.steps, 0), ("views", self.views, 1)):
            if number < least:
                raise _invalid(name, f"{number} is below {least}")
        for name, weight in (("alpha", self.alpha), ("gamma", self.gamma)):
            if not 0 <= weight < float("inf"):
                raise _invalid(name, f"{weight} is not a finite number of at least 0")
        if not 0 < self.learning_rate < float("inf"):
            raise _invalid("learning_rate", f"{self.learning_rate} is not a positive number")

    def _check_size(self) -> None:
        given = {name: size for name, size in self._sizes().items() if size is not None}
        for name, size in given.items():
            if name == "budget_latency_ms":
                if not 0 < size < float("inf"):
                    raise _invalid(name, f"{size} is not a positive number of milliseconds")
            elif not 0 < size <= 1:
                raise _invalid(name, f"{size} is outside of (0, 1]")
        if len(given) > 1:
            raise _invalid(" and ".join(given), "only one of β and the budgets can hold")
        if self.block is not None and not 1 <= self.block <= MAX_BLOCK:
            raise _invalid("block", f"{self.block} is outside of 1 to {MAX_BLOCK}")
        if self.block is not None and not self.has_budget:
            raise _invalid("block", "blocks are for a budget; β keeps its share to the unit")

    def _check_method(self) -> None:
        if self.method in THRESHOLDS and self.has_budget:
            raise _invalid("method", "a threshold decides by itself how many units stay")
        if self.method is Method.CLOSED_FORM:
            return
        if self.criterion is not Criterion.SUBSET:
            raise _invalid("criterion", f"the method {self.method} has a criterion of its own")
        if self.adaptation is not Adaptation.REFIT:
            raise _invalid("adaptation", f"the method {self.method} has an adaptation of its own")

    def _sizes(self) -> dict[str, float | None]:
        return {
            "beta": self.beta,
            "budget_params": self.budget_params,
            "budget_macs": self.budget_macs,
            "budget_bytes": self.budget_bytes,
            "budget_latency": self.budget_latency,
            "budget_latency_ms": self.budget_latency_ms,
        }

    @property
    def share(self) -> float:
        """β, or its default where neither β nor a budget is given."""
        return DEFAULT_BETA if self.beta is None else self.beta

    @property
    def has_budget(self) -> bool:
        """Whether a budget, not β, sets how many units stay."""
        return self.budget_name is not None

    @property
    def budget_name(self) -> str | None:
        """The field of the budget that is given; None for β."""
        given = (name for name, size in self._sizes().items() if size is not None)
        return next((name for name in given if name != "beta"), None)

    @property
    def budget(self) -> float:
        """The budget that is given, whichever it is."""
        size = None if self.budget_name is None else self._sizes()[self.budget_name]
        assert size is not None, "β is no budget"
        return size

    def with_budget(self, size: float) -> Self:
        """Returns the recipe with another value of the budget that it has."""
        assert self.budget_name is not None, "β is no budget"
        changes: dict[str, Any] = {self.budget_name: size}
        return replace(self, **changes)

    @property
    def reads_labels(self) -> bool:
        """Whether anything is learnt from labels, beyond how much each sample counts."""
        return (
            self.method is not Method.CLOSED_FORM
            or self.criterion in LABEL_READERS
            or self.adaptation is Adaptation.TRAINED
        )

    @property
    def needs_latency(self) -> bool:
        """Whether a plan needs the times that the model's nodes take on this machine."""
        budgets = (self.budget_latency, self.budget_latency_ms)
        return self.predict_latency or any(budget is not None for budget in budgets)

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
            return cls(
                **{
                    **data,
                    "method": Method(data["method"]),
                    "criterion": Criterion(data.get("criterion", Criterion.SUBSET)),
                    "adaptation": Adaptation(data.get("adaptation", Adaptation.REFIT)),
                }
            )
        except (TypeError, KeyError, ValueError) as error:
            raise _invalid("recipe", str(error)) from error


def _invalid(field: str, message: str) -> SlicingError:
    return invalid_field(field, message, "Correct the field or leave it out to get its default.")
