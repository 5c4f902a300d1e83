"""What an input of a model is, in a few words."""

from __future__ import annotations

from sliceandpack.slicer.v1 import input_spec_pb2 as pb


def input_text(spec: pb.InputSpec) -> str:
    """Returns an input in a few words: ``image (1, 8, 8) float32, image, 0 to 1``.

    Args:
        spec: The input.
    """
    shape = f" ({', '.join(str(extent) for extent in spec.shape)})" if spec.shape else ""
    element = pb.ElementType.Name(spec.element_type).removeprefix("ELEMENT_TYPE_").lower()
    kind = f" {element}" if spec.element_type else ""
    return f"{spec.name}{shape}{kind}, {_meaning(spec)}"


def _meaning(spec: pb.InputSpec) -> str:
    match spec.WhichOneof("semantics"):
        case "image":
            bounds = spec.image.value_range
            how = _normalisation(spec.image)
            return f"image, {bounds.minimum:g} to {bounds.maximum:g}{how}"
        case "text":
            return f"text of {spec.text.vocabulary_size} tokens"
        case _:
            return "tensor"


def _normalisation(image: pb.ImageSemantics) -> str:
    """By what values are normalised, in the words of the options of ``models submit``."""
    numbers = {"mean": image.mean, "std": image.standard_deviation}
    told = [f"{name} {','.join(f'{one:g}' for one in found)}" for name, found in numbers.items()]
    given = [one for one, found in zip(told, numbers.values(), strict=True) if found]
    return f", normalised by {' and '.join(given)}" if given else ""
