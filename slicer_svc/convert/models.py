"""Between `slicer.v1.Model` and `ModelRow`."""

from __future__ import annotations

from collections.abc import Iterator

from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import specifications_pb2

from slicer_svc.convert.inputs import input_violations
from slicer_svc.store.tables import ModelRow, SpecificationRow
from svckit.errors import FieldViolation
from svckit.etags import etag_of
from svckit.input_messages import encode_input
from svckit.input_spec import InputSpec

MAX_DISPLAY_NAME = 128
MAX_CLASSES = 65_536
MAX_LABEL = 256
MAX_LICENCE = 256


def encode_model(row: ModelRow) -> pb.Model:
    """Returns the message of a model."""
    message = pb.Model(
        name=row.name,
        display_name=row.display_name,
        labels=row.labels,
        inputs=[encode_input(InputSpec.from_json(spec)) for spec in row.inputs],
        licence=row.licence,
        sample_accuracy=row.sample_accuracy,
        sample_count=row.sample_count,
        parameters=row.parameters,
        macs=row.macs,
        unit_group_count=row.unit_group_count,
        feature_width=row.feature_width,
        etag=etag_of(row.name, row.revision),
    )
    for artifact, digest, size in (
        (message.graph, row.graph_digest, row.graph_size),
        (message.samples, row.samples_digest, row.samples_size),
        (message.normalised_graph, row.normalised_digest, row.normalised_size),
    ):
        artifact.name = f"artifacts/{digest}"
        artifact.size_bytes = size
    message.create_time.FromDatetime(row.create_time)
    message.update_time.FromDatetime(row.update_time)
    if row.specification is not None:
        message.specification.CopyFrom(_specification(row.specification))
    return message


def _specification(row: SpecificationRow) -> specifications_pb2.Specification:
    message = specifications_pb2.Specification(
        version=row.version, missing=row.missing, **row.facts
    )
    if row.digest is not None:
        message.artifact.name = f"artifacts/{row.digest}"
        message.artifact.size_bytes = row.size
    return message


def model_violations(model: pb.Model) -> Iterator[FieldViolation]:
    """Yields every broken rule of a submitted model but those of its artifacts' names."""
    yield from text_violations(model)
    if not 2 <= len(model.labels) <= MAX_CLASSES:
        yield FieldViolation("model.labels", f"a classifier has 2 to {MAX_CLASSES} classes")
    for place, label in enumerate(model.labels):
        if not label.strip() or len(label) > MAX_LABEL or not label.isprintable():
            yield FieldViolation(
                f"model.labels[{place}]", f"a label has 1 to {MAX_LABEL} printable characters"
            )
    yield from input_violations(model.inputs, "model.inputs")


def text_violations(model: pb.Model) -> Iterator[FieldViolation]:
    """Yields the broken rules of the fields that UpdateModel can change."""
    for field, text, most in (
        ("display_name", model.display_name, MAX_DISPLAY_NAME),
        ("licence", model.licence, MAX_LICENCE),
    ):
        if len(text) > most or not text.isprintable():
            yield FieldViolation(f"model.{field}", f"at most {most} printable characters")
