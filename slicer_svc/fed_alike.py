"""Which models' inputs are fed alike, so that samples of the one may be fed to the other."""

from __future__ import annotations

from collections.abc import Sequence

from svckit.input_spec import InputSpec


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
    return pairs if all(_are_fed_alike(one, other) for one, other in pairs) else None


def _are_fed_alike(one: InputSpec, other: InputSpec) -> bool:
    """Whether what one of two inputs is fed can be fed to the other as well.

    Both need a declared meaning: of plain numbers without a range nobody knows the scale. Names may
    differ, and so may `flip_invariant`, which no graph sees.
    """
    return one.bounds() is not None and _fed(one) == _fed(other)


def _fed(spec: InputSpec) -> tuple[object, ...]:
    return spec.shape, spec.element_type, spec.as_fed().semantics
