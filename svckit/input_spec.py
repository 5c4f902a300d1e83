"""What a model's inputs are and mean, as plain data that slicer and packer share."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

FLOAT32: Final = "float32"
UINT8: Final = "uint8"
ELEMENT_TYPES: Final = (FLOAT32, UINT8, "int64", "int32")
"""The element types that an input may have, by numpy's names."""

LABELS: Final = "labels"
"""The name of the array of labels in a file of samples, beside one array per input."""


@dataclass(frozen=True)
class Image:
    """Pictures; the graph is fed ``(value - mean) / deviation``, per channel.

    Attributes:
        channels_last: Whether the layout is (N, H, W, C) instead of (N, C, H, W).
        minimum: The smallest value before normalisation.
        maximum: The largest value before normalisation.
        mean: The mean of each channel; empty for 0.
        deviation: The standard deviation of each channel; empty for 1.
        flip_invariant: Whether a mirrored picture is of the same class; no graph sees it.
    """

    channels_last: bool
    minimum: float
    maximum: float
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    flip_invariant: bool = False


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
    """Tokens of a vocabulary, texts filled up at their ends.

    Attributes:
        vocabulary_digest: The digest of the vocabulary's file.
        vocabulary_size: The number of its tokens.
        padding_id: The token that fills up short texts.
    """

    vocabulary_digest: str
    vocabulary_size: int
    padding_id: int


Semantics = Image | Tensor | Text
_KINDS: Final[dict[str, Any]] = {"image": Image, "tensor": Tensor, "text": Text}


@dataclass(frozen=True)
class InputSpec:
    """One input of a graph.

    Attributes:
        name: The graph's input, which is also the array's name in the samples.
        shape: The shape of one sample; empty until it was read from the graph.
        element_type: numpy's name of the type; empty until it was read from the graph.
        semantics: What the input means.
    """

    name: str
    shape: tuple[int, ...]
    element_type: str
    semantics: Semantics

    @property
    def kind(self) -> str:
        """How its semantics is called: image, tensor or text."""
        return next(name for name, cls in _KINDS.items() if isinstance(self.semantics, cls))

    @property
    def image(self) -> Image:
        """Its semantics, where it is an image."""
        if not isinstance(self.semantics, Image):
            raise TypeError(f"the input {self.name!r} is no image")
        return self.semantics

    @property
    def channels(self) -> int:
        """The number of an image's channels."""
        return self.shape[-1] if self.image.channels_last else self.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image."""
        height, width = self.shape[:2] if self.image.channels_last else self.shape[1:]
        return height, width

    def bounds(self) -> tuple[float, float] | None:
        """Returns the smallest and the largest value before normalisation, None for any."""
        if isinstance(self.semantics, Text):
            return 0.0, float(self.semantics.vocabulary_size - 1)
        if self.semantics.minimum is None or self.semantics.maximum is None:
            return None
        return self.semantics.minimum, self.semantics.maximum

    def as_fed(self) -> Self:
        """Returns it without what no graph sees, so that inputs that are fed the same are equal."""
        if not isinstance(self.semantics, Image):
            return self
        return replace(self, semantics=replace(self.semantics, flip_invariant=False))

    def to_json(self) -> dict[str, Any]:
        """Returns plain data that `from_json` reads back."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "element_type": self.element_type,
            self.kind: asdict(self.semantics),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Reads what `to_json` wrote."""
        kind = next(name for name in _KINDS if name in data)
        facts = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in data[kind].items()
        }
        shape = tuple(data["shape"])
        return cls(data["name"], shape, data["element_type"], _KINDS[kind](**facts))
