"""The inputs that several fragments can share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from packer_svc.fusion.errors import FusionError, FusionReason
from svckit.input_spec import UINT8, Image, InputSpec, Semantics, Tensor, Text

ASPECT_TOLERANCE = 0.02
"""By how much the proportions of two pictures may differ, relatively, before one is a distortion
of the other."""


@dataclass(frozen=True)
class FragmentInputs:
    """What one fragment is fed.

    Attributes:
        fragment: How to call the fragment in an error, such as its resource name.
        inputs: Its inputs.
    """

    fragment: str
    inputs: Sequence[InputSpec]


def shared_inputs(
    fragments: Sequence[FragmentInputs], *, eight_bits: bool = False
) -> tuple[InputSpec, ...]:
    """The inputs of a pack: those of which each fragment's own can be made.

    Of pictures the largest, of texts the longest, the first among equals. Fragments of one input
    share it whatever they call it; several inputs go by their names.

    Args:
        fragments: In the order of the pack.
        eight_bits: Whether pictures are wanted as whole numbers from 0 to 255, whatever the
            fragments are fed.

    Raises:
        FusionError: `FRAGMENTS_DUPLICATE` if there is no fragment, `FRAGMENTS_INCOMPATIBLE` naming
            two that disagree, and on what; `FIELD_INVALID` for eight bits of no picture.
    """
    if not fragments:
        raise FusionError(
            FusionReason.FRAGMENTS_DUPLICATE,
            "A pack needs at least one fragment.",
            advice="Name the fragments of the classes that the pack shall tell apart.",
        )
    found = [_widest(fragments, place) for place in range(len(_names(fragments)))]
    if not eight_bits:
        return tuple(found)
    if not any(isinstance(one.semantics, Image) for one in found):
        raise FusionError(
            FusionReason.FIELD_INVALID,
            "The fragments read no pictures that could be fed as whole numbers from 0 to 255.",
            advice="Leave the pictures' form out.",
            metadata={"field": "pack.options.picture_form"},
        )
    return tuple(in_eight_bits(one) for one in found)


def in_eight_bits(one: InputSpec) -> InputSpec:
    """The same pictures in whole numbers from 0 to 255; whatever is no picture stays as it is."""
    if not isinstance(one.semantics, Image):
        return one
    semantics = replace(one.semantics, minimum=0.0, maximum=255.0, mean=(), deviation=())
    return replace(one, element_type=UINT8, semantics=semantics)


def matching(own: Sequence[InputSpec], name: str) -> InputSpec:
    """That of a fragment's inputs which stands for the pack's input of a name."""
    return own[0] if len(own) == 1 else next(one for one in own if one.name == name)


def _names(fragments: Sequence[FragmentInputs]) -> Sequence[str]:
    """The names of the first fragment's inputs, which those of all go by if there are several."""
    first = fragments[0]
    names = [one.name for one in first.inputs]
    for other in fragments[1:]:
        theirs = [one.name for one in other.inputs]
        if len(names) != len(theirs) or (len(names) > 1 and set(names) != set(theirs)):
            raise _disagreement(first, other, ("name", sorted(names), sorted(theirs)))
    return names


def _widest(fragments: Sequence[FragmentInputs], place: int) -> InputSpec:
    first = fragments[0]
    name = first.inputs[place].name
    widest = (first, first.inputs[place])
    for other in fragments[1:]:
        candidate = matching(other.inputs, name)
        differences = _differences(widest[1], candidate)
        if differences:
            raise _disagreement(widest[0], other, differences[0], name)
        if _extent(candidate) > _extent(widest[1]):
            widest = (other, candidate)
    return widest[1]


def _extent(one: InputSpec) -> int:
    """How much an input shows: pixels of a picture, tokens of a text."""
    if isinstance(one.semantics, Image):
        return one.size[0] * one.size[1]
    return one.shape[0] if isinstance(one.semantics, Text) else 0


Difference = tuple[str, object, object]
"""A fact, and what it is in each of two inputs."""


def _differences(left: InputSpec, right: InputSpec) -> list[Difference]:
    """On what two inputs disagree so that neither can be made of the other."""
    if left.kind != right.kind:
        return [("kind", left.kind, right.kind)]
    facts: dict[str, tuple[object, object]] = {}
    match left.semantics:
        case Image():
            facts["channels"] = left.channels, right.channels
            if _is_distorted(left, right):
                facts["proportions"] = _times(left.size), _times(right.size)
        case Text():
            facts = _facts_of(left.semantics, right.semantics)
            if len(left.shape) != 1 or len(right.shape) != 1:  # Only sequences can be cut.
                facts["shape"] = left.shape, right.shape
        case Tensor():
            facts = {"shape": (left.shape, right.shape)}
            facts["element_type"] = left.element_type, right.element_type
            facts |= _facts_of(left.semantics, right.semantics)
    return [(fact, one, other) for fact, (one, other) in facts.items() if one != other]


def _facts_of(left: Semantics, right: Semantics) -> dict[str, tuple[object, object]]:
    ours, theirs = asdict(left), asdict(right)
    return {fact: (ours[fact], theirs[fact]) for fact in ours}


def _is_distorted(left: InputSpec, right: InputSpec) -> bool:
    (height, width), (tall, wide) = left.size, right.size
    return abs(height * wide / (width * tall) - 1) > ASPECT_TOLERANCE


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _disagreement(
    first: FragmentInputs, second: FragmentInputs, difference: Difference, name: str = ""
) -> FusionError:
    fact, left, right = difference
    where = f"input {name!r}: {fact}" if name else "the inputs' names:"
    return FusionError(
        FusionReason.FRAGMENTS_INCOMPATIBLE,
        f"{first.fragment} and {second.fragment} disagree on {where} {left} against {right}.",
        advice="Pack fragments of models with the same kind of inputs, or submit one of the models "
        "again with inputs like the other's.",
        metadata={
            "first": first.fragment,
            "second": second.fragment,
            "field": fact,
            "input": name,
        },
    )
