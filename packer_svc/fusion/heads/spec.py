"""What kind of head is wanted, and with which parameters."""

from dataclasses import dataclass
from enum import StrEnum

from packer_svc.fusion.errors import FusionError, FusionReason


class HeadKind(StrEnum):
    """How a head is fitted."""

    CLOSED_FORM = "closed_form"
    """Standardised inputs, shrinkage LDA, no gradient. The default."""
    PAPER = "paper"
    """Encoder, decoders and classifier of Eq. 12, trained on cached features."""


class HeadInputs(StrEnum):
    """Which outputs of the fragments a head reads."""

    FEATURES = "features"
    SCORES = "scores"
    BOTH = "both"


@dataclass(frozen=True)
class HeadSpec:
    """A head to fit. Defaults of what the paper leaves open were measured on small networks.

    Attributes:
        kind: How the head is fitted.
        encoder_width: Width of the linear encoder. None: for the paper's head the widest fragment's
            feature width, at most 64; for the closed form no encoder (it is exact without one).
            The closed form's holds the leading principal directions of the standardised columns.
        delta: δ of Eq. 12, the weight of the decoders' mean squared error (paper's head only).
        steps: Full-batch steps of Adam (paper's head only).
        learning_rate: Adam's rate (paper's head only).
        seed: Of the folds, and of the paper's head's first weights.

    Raises:
        FusionError: `FIELD_INVALID` for a value out of range.
    """

    kind: HeadKind = HeadKind.CLOSED_FORM
    encoder_width: int | None = None
    delta: float = 1.0
    steps: int = 100
    learning_rate: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        rules = {
            "encoder_width": self.encoder_width is None or self.encoder_width >= 1,
            "delta": 0.0 <= self.delta < float("inf"),
            "steps": 0 <= self.steps <= 100_000,
            "learning_rate": 0.0 < self.learning_rate < float("inf"),
            "seed": 0 <= self.seed < 2**63,
        }
        broken = [name for name, kept in rules.items() if not kept]
        if broken:
            raise FusionError(
                FusionReason.FIELD_INVALID,
                f"The head's {', '.join(broken)} is out of range.",
                advice="Widths are at least 1, rates positive, δ, steps and seed at least 0.",
                metadata={"field": ",".join(broken)},
            )
