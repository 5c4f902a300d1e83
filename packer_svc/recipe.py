"""What a pack is to be made of, whoever asks: CreatePack, AddClasses or RemoveClasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sliceandpack.packer.v1 import packs_pb2 as pb

from packer_svc.convert.packs import MIN_CLASSES
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.inputs import FragmentInputs, shared_inputs
from packer_svc.origins import Origin
from packer_svc.store.failures import (
    duplicate_fragment,
    duplicate_label,
    same_samples,
    too_few_classes,
)
from svckit.input_spec import InputSpec


@dataclass(frozen=True)
class PackRecipe:
    """What a pack is to be made of.

    Attributes:
        pack_id: The pack's id.
        display_name: A name for people.
        fragments: The fragments with the labels that were asked for.
        head: How the head is made.
        options: What else is asked of it.
        kept: What the pack that is changed keeps of its fragments, by their names.
    """

    pack_id: str
    display_name: str
    fragments: Sequence[pb.PackFragment]
    head: HeadSpec
    options: pb.PackOptions
    kept: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True)
class Ingredient:
    """One fragment of a pack.

    Attributes:
        origin: The fragment.
        label: The label of the pack's output.
        output: The place of that output.
    """

    origin: Origin
    label: str
    output: int


def refuse_duplicates(fragments: Sequence[pb.PackFragment]) -> None:
    """Refuses a fragment that is named twice.

    Raises:
        InvalidArgument: FRAGMENTS_DUPLICATE.
    """
    seen: set[str] = set()
    for part in fragments:
        if part.fragment in seen:
            raise duplicate_fragment(part.fragment)
        seen.add(part.fragment)


def combine(
    fragments: Sequence[pb.PackFragment], origins: Sequence[Origin]
) -> tuple[Ingredient, ...]:
    """Gives every fragment its output.

    Args:
        fragments: As they were asked for.
        origins: What is known of them, in the same order.

    Returns:
        The ingredients; outputs are numbered in the order in which their labels first come.

    Raises:
        InvalidArgument: FRAGMENTS_DUPLICATE, two have one label without both being given it, or
            the same samples and not one label; or FIELD_INVALID, all of them share one output.
    """
    _refuse_same_samples(fragments, origins)
    first_of: dict[str, int] = {}
    outputs: dict[str, int] = {}
    ingredients = []
    for place, (part, origin) in enumerate(zip(fragments, origins, strict=True)):
        label = part.label or origin.label
        other = first_of.setdefault(label, place)
        if other != place and not (part.label and fragments[other].label):
            raise duplicate_label(label, fragments[other].fragment, part.fragment)
        output = outputs.setdefault(label, len(outputs))
        ingredients.append(Ingredient(origin, label, output))
    if len(outputs) < MIN_CLASSES:
        raise too_few_classes(list(outputs))
    return tuple(ingredients)


def _refuse_same_samples(fragments: Sequence[pb.PackFragment], origins: Sequence[Origin]) -> None:
    """Refuses fragments of one class of one file of samples that were not given one label."""
    first_of: dict[tuple[str, int], pb.PackFragment] = {}
    for part, origin in zip(fragments, origins, strict=True):
        other = first_of.setdefault((origin.samples_digest, origin.source_class), part)
        if other is not part and not (part.label and part.label == other.label):
            raise same_samples(other.fragment, part.fragment)


def labels_of(ingredients: Sequence[Ingredient]) -> list[str]:
    """Returns the labels of a pack's outputs in their order."""
    return list(dict.fromkeys(ingredient.label for ingredient in ingredients))


def inputs_of(ingredients: Sequence[Ingredient], options: pb.PackOptions) -> tuple[InputSpec, ...]:
    """Returns what a pack is fed.

    Raises:
        FusionError: FRAGMENTS_INCOMPATIBLE, the fragments disagree on an input; or FIELD_INVALID,
            they read no pictures and a form of pictures was asked for.
    """
    return shared_inputs(
        [FragmentInputs(one.origin.fragment, one.origin.inputs) for one in ingredients],
        eight_bits=options.picture_form == pb.PICTURE_FORM_UINT8,
    )


def ensemble_size(ingredients: Sequence[Ingredient]) -> dict[str, int]:
    """Returns parameters, MACs and bytes of the full originals with their joint classifier.

    The classifier reads the features and the class scores of every original.
    """
    # Equal in all: a name is given out again after the model that had it was deleted.
    models = dict.fromkeys(one.origin.model for one in ingredients)
    width = sum(model.feature_width + model.classes for model in models)
    classes = len(labels_of(ingredients))
    parameters = sum(model.parameters for model in models) + (width + 1) * classes
    macs = sum(model.macs for model in models) + width * classes
    return {"parameters": parameters, "macs": macs, "bytes": 4 * parameters}
