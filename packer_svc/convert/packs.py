"""Between `packer.v1.Pack` and `PackRow`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import json_format
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import fragments_pb2, input_spec_pb2

from packer_svc.convert.evaluation import evaluation_violations, kind_of
from packer_svc.fusion.heads.spec import HeadKind, HeadSpec
from packer_svc.store.tables import PackFragmentRow, PackRow
from svckit.errors import FieldViolation
from svckit.etags import etag_of
from svckit.input_messages import decode_input, encode_input
from svckit.input_spec import InputSpec
from svckit.names import ResourcePattern

FRAGMENT = ResourcePattern.of(fragments_pb2.Fragment)

MAX_DISPLAY_NAME = 128
MAX_LABEL = 256
MAX_SHOWN = 128
"""How much of a malformed name a refusal repeats, in characters."""
MAX_FRAGMENTS = 1_000
MIN_CLASSES = 2
MAX_STEPS = 100_000

_KINDS = {
    pb.HEAD_KIND_UNSPECIFIED: HeadKind.CLOSED_FORM,
    pb.HEAD_KIND_CLOSED_FORM: HeadKind.CLOSED_FORM,
    pb.HEAD_KIND_PAPER: HeadKind.PAPER,
}


def encode_pack(row: PackRow) -> pb.Pack:
    """Returns the message of a pack."""
    message = pb.Pack(
        name=row.name,
        display_name=row.display_name,
        fragments=[
            pb.PackFragment(
                fragment=part.fragment,
                label=part.label,
                graph_digest=part.graph_digest,
                samples_digest=part.samples_digest,
                licence=part.licence,
            )
            for part in row.fragments
        ],
        head=json_format.ParseDict(row.head, pb.HeadSpec()),
        options=json_format.ParseDict(row.options, pb.PackOptions()),
        labels=row.labels,
        inputs=input_specs(row),
        proof_summary=json_format.ParseDict(row.proof_summary, pb.ProofSummary()),
        parameters=row.parameters,
        macs=row.macs,
        ensemble_parameters=row.ensemble_parameters,
        ensemble_macs=row.ensemble_macs,
        # A pack never changes, so neither does its etag.
        etag=etag_of(row.name, 1),
    )
    for artifact, digest, size in (
        (message.graph, row.graph_digest, row.graph_size),
        (message.manifest, row.manifest_digest, row.manifest_size),
        (message.proof, row.proof_digest, row.proof_size),
        (message.smoke_test, row.smoke_digest, row.smoke_size),
    ):
        artifact.name = f"artifacts/{digest}"
        artifact.size_bytes = size
    if row.reassembly is not None:
        json_format.ParseDict(row.reassembly, message.reassembly)
    if row.report_digest is not None:
        message.report.name = f"artifacts/{row.report_digest}"
        message.report.size_bytes = row.report_size or 0
    message.create_time.FromDatetime(row.create_time)
    if row.clone is not None:
        json_format.ParseDict(row.clone, message.clone)
    return message


def input_specs(row: PackRow) -> list[input_spec_pb2.InputSpec]:
    """Returns what a pack is fed."""
    return _specs(row.inputs)


def fragment_inputs(row: PackRow, part: PackFragmentRow) -> tuple[InputSpec, ...]:
    """Returns what a fragment of a pack is fed.

    Packs that were made before fragments of different inputs could be joined say it once for all.
    """
    return tuple(map(decode_input, _specs(part.inputs or row.inputs)))


def inputs_json(inputs: Sequence[InputSpec]) -> list[dict[str, Any]]:
    """Returns inputs as a row keeps them: protobuf's JSON of `InputSpec`."""
    return [json_format.MessageToDict(encode_input(one)) for one in inputs]


def _specs(kept: Sequence[dict[str, Any]]) -> list[input_spec_pb2.InputSpec]:
    return [json_format.ParseDict(spec, input_spec_pb2.InputSpec()) for spec in kept]


def decode_head(head: pb.HeadSpec) -> HeadSpec:
    """Returns what a checked head says, with defaults where it is silent."""
    defaults = HeadSpec()
    return HeadSpec(
        kind=_KINDS[head.kind],
        encoder_width=head.encoder_width or None,
        delta=head.delta if head.HasField("delta") else defaults.delta,
        steps=head.steps if head.HasField("steps") else defaults.steps,
        seed=head.seed,
    )


def head_json(head: HeadSpec) -> dict[str, Any]:
    """Returns a head as a row keeps it: protobuf's JSON of `HeadSpec`."""
    message = pb.HeadSpec(
        kind=pb.HeadKind.Value(f"HEAD_KIND_{head.kind.name}"),
        encoder_width=head.encoder_width or 0,
        delta=head.delta,
        steps=head.steps,
        seed=head.seed,
    )
    return json_format.MessageToDict(message)


def options_json(options: pb.PackOptions) -> dict[str, Any]:
    """Returns what else was asked of a pack as a row keeps it, defaults written out."""
    kept = pb.PackOptions()
    kept.CopyFrom(options)
    kept.precision = kept.precision or pb.PRECISION_FP32
    kept.evaluation = kind_of(kept)
    return json_format.MessageToDict(kept)


def pack_violations(pack: pb.Pack) -> Iterator[FieldViolation]:
    """Yields every broken rule of a pack that is to be made."""
    if len(pack.display_name) > MAX_DISPLAY_NAME:
        yield FieldViolation("pack.display_name", f"at most {MAX_DISPLAY_NAME} characters")
    # A malformed name comes first: two fragments given as one text are too few only because of it.
    yield from fragment_violations(pack.fragments, "pack.fragments")
    if len(pack.fragments) < MIN_CLASSES:
        yield FieldViolation("pack.fragments", f"at least {MIN_CLASSES}, of different classes")
    head = pack.head
    if head.kind not in _KINDS:
        yield FieldViolation("pack.head.kind", "no such kind")
    if head.encoder_width < 0:
        yield FieldViolation("pack.head.encoder_width", "it is at least 1")
    if head.HasField("delta") and not 0 <= head.delta < math.inf:
        yield FieldViolation("pack.head.delta", "it is finite and at least 0")
    if head.HasField("steps") and not 0 <= head.steps <= MAX_STEPS:
        yield FieldViolation("pack.head.steps", f"0 to {MAX_STEPS}")
    if head.seed < 0:
        yield FieldViolation("pack.head.seed", "it is at least 0")
    if pack.options.precision not in pb.Precision.values():
        yield FieldViolation("pack.options.precision", "no such precision")
    if pack.options.picture_form not in pb.PictureForm.values():
        yield FieldViolation("pack.options.picture_form", "no such form of pictures")
    yield from evaluation_violations(pack.options)
    if pack.options.HasField("budget"):
        yield from _budget_violations(pack.options.budget)


def _budget_violations(budget: pb.PackBudget) -> Iterator[FieldViolation]:
    size = budget.WhichOneof("size")
    if size is None:
        yield FieldViolation("pack.options.budget", "give parameters, macs or latency_ms")
        return
    value = getattr(budget, size)
    if size == "latency_ms":
        if not 0 < value < math.inf:
            yield FieldViolation(f"pack.options.budget.{size}", "it is finite and above 0")
    elif not 0 < value <= 1:
        yield FieldViolation(f"pack.options.budget.{size}", "it is above 0 and at most 1")


def fragment_violations(
    fragments: Sequence[pb.PackFragment], field: str
) -> Iterator[FieldViolation]:
    """Yields every broken rule of a list of fragments."""
    if len(fragments) > MAX_FRAGMENTS:
        yield FieldViolation(field, f"at most {MAX_FRAGMENTS} fragments")
    for place, fragment in enumerate(fragments):
        if not FRAGMENT.matches(fragment.fragment):
            given = fragment.fragment[:MAX_SHOWN]
            yield FieldViolation(
                f"{field}[{place}].fragment", f"{given!r} is no {FRAGMENT.pattern}"
            )
        if len(fragment.label) > MAX_LABEL or not fragment.label.isprintable():
            yield FieldViolation(
                f"{field}[{place}].label", f"at most {MAX_LABEL} printable characters"
            )
