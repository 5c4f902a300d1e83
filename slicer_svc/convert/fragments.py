"""Between `slicer.v1.Fragment` and `FragmentRow`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sliceandpack.slicer.v1 import fragments_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2

from slicer_svc.slicing.version import METHOD_VERSION
from slicer_svc.store.tables import FragmentRow, ModelRow, PlanRow
from svckit.artifacts.digests import Artifact
from svckit.errors import FieldViolation
from svckit.folds import FEWEST, MOST, Fold
from svckit.input_messages import encode_input
from svckit.input_spec import InputSpec


def encode_fragment(row: FragmentRow, *, whole: bool = False) -> pb.Fragment:
    """Returns the message of a fragment.

    Args:
        row: The fragment.
        whole: Whether its units are told too, of which there may be thousands; its query then
            loads them.
    """
    message = pb.Fragment(
        name=row.name,
        label=row.label,
        plan=row.plan_name,
        inputs=[encode_input(InputSpec.from_json(spec)) for spec in row.model.inputs],
        feature_width=row.feature_width,
        score_width=row.score_width,
        parameters=row.parameters,
        macs=row.macs,
        feature_error=row.feature_error,
        method_version=row.method_version,
        slice_seconds=row.slice_seconds,
        licence=row.model.licence,
        joint_labels=row.joint_labels,
    )
    if whole:
        for group, units in row.kept_units.items():
            message.kept_units.add(group=group, units=units)
    message.graph.name = f"artifacts/{row.graph_digest}"
    message.graph.size_bytes = row.graph_size
    message.create_time.FromDatetime(row.create_time)
    return message


def encode_unkept(
    model: ModelRow, plan: PlanRow, place: int, found: dict[str, Any], graph: Artifact
) -> pb.Fragment:
    """Returns the message of a fragment that is kept nowhere.

    Args:
        model: Its model.
        plan: The plan by whose recipe it was sliced.
        place: The class, counted among the model's.
        found: What the worker says of it.
        graph: Its graph.
    """
    message = pb.Fragment(
        label=model.labels[place],
        plan=plan.name,
        inputs=[encode_input(InputSpec.from_json(spec)) for spec in model.inputs],
        feature_width=found["feature_width"],
        score_width=len(model.labels),
        parameters=found["parameters"],
        macs=found["macs"],
        feature_error=found["feature_error"],
        method_version=METHOD_VERSION,
        slice_seconds=found["slice_seconds"],
        licence=model.licence,
    )
    message.graph.name, message.graph.size_bytes = graph.name, graph.size_bytes
    return message


def fold_violations(request: models_pb2.SliceModelRequest) -> Iterator[FieldViolation]:
    """Yields every broken rule of a fold that is held out."""
    if not request.HasField("held_out"):
        return
    fold = request.held_out
    if not FEWEST <= fold.folds <= MOST:
        yield FieldViolation("held_out.folds", f"{FEWEST} to {MOST}")
    elif not 0 <= fold.index < fold.folds:
        yield FieldViolation("held_out.index", f"0 to {fold.folds - 1}")
    if fold.seed < 0:
        yield FieldViolation("held_out.seed", "it is at least 0")


def decode_fold(message: models_pb2.Fold) -> Fold:
    """Returns what a checked fold says."""
    return Fold(message.index, message.folds, message.seed)
