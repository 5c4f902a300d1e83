"""Where the fragments of a pack come from: all that is needed to join them, whoever tells it.

The slicer tells it of a fragment that is new to a pack. Of one that another pack holds already,
that pack's rows do, so that packs can be changed after the models are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sliceandpack.slicer.v1 import fragments_pb2, models_pb2

from packer_svc.convert.packs import fragment_inputs, inputs_json
from packer_svc.store.tables import PackFragmentRow, PackRow
from svckit.artifacts.digests import digest_from_name
from svckit.input_messages import decode_input
from svckit.input_spec import InputSpec


@dataclass(frozen=True)
class OriginModel:
    """What a pack has to know of a fragment's model to be compared with it.

    Attributes:
        name: The resource name.
        classes: How many classes it tells apart.
        feature_width: The width of the features that its classifier reads.
        parameters: Floating parameters.
        macs: Multiply-accumulate operations per sample.
        graph_digest: Its checked and normalised graph; empty where an older pack tells of it.
        graph_bytes: The size of that graph; 0 where an older pack tells of it.
        labels: The labels of its classes, in their order; empty where a pack kept it before labels
            were kept. They do not make it another model.
    """

    name: str
    classes: int
    feature_width: int
    parameters: int
    macs: int
    graph_digest: str = field(default="", compare=False)
    graph_bytes: int = field(default=0, compare=False)
    labels: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Origin:
    """A fragment with what it needs of its model.

    Attributes:
        fragment: The resource name.
        label: What its class is called unless another label is asked for.
        source_class: The place of that class in its model.
        graph_digest: Its graph.
        samples_digest: The samples of its model.
        licence: The licence of its model.
        inputs: What it is fed.
        model: Its model.
    """

    fragment: str
    label: str
    source_class: int
    graph_digest: str
    samples_digest: str
    licence: str
    inputs: Sequence[InputSpec]
    model: OriginModel


def told_origin(fragment: fragments_pb2.Fragment, model: models_pb2.Model) -> Origin:
    """Returns what the slicer says of a fragment and its model."""
    return Origin(
        fragment=fragment.name,
        label=fragment.label,
        source_class=list(model.labels).index(fragment.label),
        graph_digest=digest_from_name(fragment.graph.name),
        samples_digest=digest_from_name(model.samples.name),
        licence=model.licence,
        inputs=tuple(map(decode_input, fragment.inputs)),
        model=_told_model(model),
    )


def whole_origin(model: models_pb2.Model, label: str) -> Origin:
    """Returns a class of a model for which all of the model stands, as no fragment does.

    Args:
        model: What the slicer says of it.
        label: The class.

    Raises:
        ValueError: The model has no such class.
    """
    return Origin(
        fragment=model.name,
        label=label,
        source_class=list(model.labels).index(label),
        graph_digest=digest_from_name(model.normalised_graph.name),
        samples_digest=digest_from_name(model.samples.name),
        licence=model.licence,
        inputs=tuple(map(decode_input, model.inputs)),
        model=_told_model(model),
    )


def kept_origins(pack: PackRow) -> dict[str, Origin]:
    """Returns what a pack keeps of its fragments, by their names."""
    return {part.fragment: kept_origin(pack, part) for part in pack.fragments}


def _told_model(model: models_pb2.Model) -> OriginModel:
    return OriginModel(
        name=model.name,
        classes=len(model.labels),
        feature_width=model.feature_width,
        parameters=model.parameters,
        macs=model.macs,
        graph_digest=digest_from_name(model.normalised_graph.name),
        graph_bytes=model.normalised_graph.size_bytes,
        labels=tuple(model.labels),
    )


def kept_origin(pack: PackRow, part: PackFragmentRow) -> Origin:
    """Returns what a pack keeps of one of its fragments, called what the pack calls it."""
    return Origin(
        fragment=part.fragment,
        label=part.label,
        source_class=part.source_class,
        graph_digest=part.graph_digest,
        samples_digest=part.samples_digest,
        licence=part.licence,
        inputs=fragment_inputs(pack, part),
        model=OriginModel(
            name=model_of(part.fragment),
            classes=part.model_classes,
            feature_width=part.model_feature_width,
            parameters=part.model_parameters,
            macs=part.model_macs,
            graph_digest=part.model_graph_digest or "",
            graph_bytes=part.model_graph_size or 0,
            labels=tuple(part.model_labels),
        ),
    )


def kept_row(place: int, label: str, origin: Origin) -> PackFragmentRow:
    """Returns what a pack keeps of a fragment.

    Args:
        place: The fragment's place in the pack.
        label: The label of the pack's output that it stands for.
        origin: The fragment.
    """
    return PackFragmentRow(
        place=place,
        fragment=origin.fragment,
        label=label,
        graph_digest=origin.graph_digest,
        samples_digest=origin.samples_digest,
        licence=origin.licence,
        source_class=origin.source_class,
        inputs=inputs_json(origin.inputs),
        model_classes=origin.model.classes,
        model_feature_width=origin.model.feature_width,
        model_parameters=origin.model.parameters,
        model_macs=origin.model.macs,
        model_graph_digest=origin.model.graph_digest or None,
        model_graph_size=origin.model.graph_bytes or None,
        model_labels=list(origin.model.labels),
    )


def model_of(fragment: str) -> str:
    """Returns the name of a fragment's model."""
    return fragment.partition("/fragments/")[0]


def is_fragment(name: str) -> bool:
    """Tells whether what stands for a class in a pack is a fragment, and no whole model."""
    return "/fragments/" in name
