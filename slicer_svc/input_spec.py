"""What a model's inputs are and mean, as the slicer's own data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

FLOAT32 = "float32"
ELEMENT_TYPES = (FLOAT32, "uint8", "int64", "int32")
"""The element types that an input may have, by numpy's names."""


@dataclass(frozen=True)
class Image:
    """Pictures; the graph is fed ``(value - mean) / deviation``, per channel.

    Attributes:
        channels_last: Whether the layout is (N, H, W, C) instead of (N, C, H, W).
        minimum: The smallest value before normalisation.
        maximum: The largest value before normalisation.
        mean: The mean of each channel; empty for 0.
        deviation: The standard deviation of each channel; empty for 1.
        flip_invariant: Whether a mirrored picture is of the same class.
    """

    channels_last: bool
    minimum: float
    maximum: float
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    flip_invariant: bool = False

    def channels(self, shape: tuple[int, ...]) -> int:
        """Returns the number of channels of a sample's shape."""
        return shape[-1] if self.channels_last else shape[0]


@dataclass(frozen=True)
class Tensor:
    """Plain numbers.

    Attributes:
        minimum: The smallest value; None for any.
        maximum: The largest value; None for any.
    """

    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Text:
    """Tokens of a vocabulary.

    Attributes:
        vocabulary_digest: The digest of the vocabulary's file.
        vocabulary_size: The number of its tokens.
        padding_id: The token that fills up short texts.
    """

    vocabulary_digest: str
    vocabulary_size: int
    padding_id: int


Semantics = Image | Tensor | Text
_KINDS: dict[str, Any] = {"image": Image, "tensor": Tensor, "text": Text}


@dataclass(frozen=True)
class InputSpec:
    """One input of a graph.

    Attributes:
        name: The graph's input, which is also the array's name in the samples.
        shape: The shape of one sample; None until it was read from the graph.
        element_type: numpy's name of the type; None until it was read from the graph.
        semantics: What the input means.
    """

    name: str
    shape: tuple[int, ...] | None
    element_type: str | None
    semantics: Semantics

    def bounds(self) -> tuple[float, float] | None:
        """Returns the smallest and the largest value before normalisation, None for any."""
        if isinstance(self.semantics, Text):
            return 0.0, float(self.semantics.vocabulary_size - 1)
        if self.semantics.minimum is None or self.semantics.maximum is None:
            return None
        return self.semantics.minimum, self.semantics.maximum

    def is_fed_like(self, other: InputSpec) -> bool:
        """Whether what one of two inputs is fed can be fed to the other as well.

        Both need a declared meaning: of plain numbers without a range nobody knows the scale. Names
        may differ, and so may `flip_invariant`, which no graph sees.
        """
        return self.bounds() is not None and self._fed == other._fed

    @property
    def _fed(self) -> tuple[object, ...]:
        semantics = self.semantics
        if isinstance(semantics, Image):
            semantics = replace(semantics, flip_invariant=False)
        return self.shape, self.element_type, semantics

    def to_json(self) -> dict[str, Any]:
        """Returns plain data that `from_json` reads back."""
        kind = next(name for name, cls in _KINDS.items() if isinstance(self.semantics, cls))
        return {
            "name": self.name,
            "shape": None if self.shape is None else list(self.shape),
            "element_type": self.element_type,
            kind: asdict(self.semantics),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Reads what `to_json` wrote."""
        kind = next(name for name in _KINDS if name in data)
        fields = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in data[kind].items()
        }
        return cls(
            name=data["name"],
            shape=None if data["shape"] is None else tuple(data["shape"]),
            element_type=data["element_type"],
            semantics=_KINDS[kind](**fields),
        )


def matched(
    own: Sequence[InputSpec], others: Sequence[InputSpec]
) -> tuple[tuple[InputSpec, InputSpec], ...] | None:
    """Pairs the inputs of two models, both by their names' order.

    Returns:
        Each input of the one with that of the other; None where one pair is not fed alike.
    """
    if len(own) != len(others):
        return None
    left, right = (sorted(specs, key=lambda spec: spec.name) for specs in (own, others))
    pairs = tuple(zip(left, right, strict=True))
    return pairs if all(one.is_fed_like(other) for one, other in pairs) else None
