"""Do fragments take the same inputs? Names, shapes, types and meanings are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packer_svc.fusion.errors import FusionError, FusionReason

NOT_COMPARED = frozenset({"flip_invariant"})
"""Facts about an input that guide augmentation and do not change what the graph is fed."""


@dataclass(frozen=True)
class FragmentInputs:
    """What one fragment is fed.

    Attributes:
        fragment: How to call the fragment in an error, such as its resource name.
        inputs: By input name, facts that are plain JSON (numbers, text, lists, objects): `shape` of
            one sample, `element_type`, and whatever gives it its meaning: kind, layout, value
            range, normalisation, vocabulary. Left out and present are different.
    """

    fragment: str
    inputs: Mapping[str, Mapping[str, object]]


def check_inputs(fragments: Sequence[FragmentInputs]) -> None:
    """Refuses fragments that cannot share the inputs of one pack.

    Args:
        fragments: In the order of the pack.

    Raises:
        FusionError: `FRAGMENTS_DUPLICATE` if there is none, `FRAGMENTS_INCOMPATIBLE` naming the
            first two that disagree, and on what.
    """
    if not fragments:
        raise FusionError(
            FusionReason.FRAGMENTS_DUPLICATE,
            "A pack needs at least one fragment.",
            advice="Name the fragments of the classes that the pack shall tell apart.",
        )
    first = fragments[0]
    for second in fragments[1:]:
        if set(first.inputs) != set(second.inputs):
            raise _disagreement(first, second, "name", sorted(first.inputs), sorted(second.inputs))
        for name in sorted(first.inputs):
            _check_input(first, second, name)


def _check_input(first: FragmentInputs, second: FragmentInputs, name: str) -> None:
    left, right = first.inputs[name], second.inputs[name]
    for fact in sorted((set(left) | set(right)) - NOT_COMPARED):
        if left.get(fact) != right.get(fact) or (fact in left) != (fact in right):
            raise _disagreement(first, second, fact, left.get(fact), right.get(fact), name)


def _disagreement(
    first: FragmentInputs,
    second: FragmentInputs,
    fact: str,
    left: object,
    right: object,
    name: str = "",
) -> FusionError:
    where = f"input {name!r}: {fact}" if name else "the inputs' names:"
    return FusionError(
        FusionReason.FRAGMENTS_INCOMPATIBLE,
        f"{first.fragment} and {second.fragment} disagree on {where} {left} against {right}.",
        advice="Pack fragments of models with the same inputs, or submit one of the models again "
        "with inputs like the other's.",
        metadata={
            "first": first.fragment,
            "second": second.fragment,
            "field": fact,
            "input": name,
        },
    )
