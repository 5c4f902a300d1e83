"""Between `slicer.v1.Fragment` and `FragmentRow`."""

from __future__ import annotations

from sliceandpack.slicer.v1 import fragments_pb2 as pb

from slicer_svc.convert.inputs import encode_input
from slicer_svc.input_spec import InputSpec
from slicer_svc.store.tables import FragmentRow


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
    )
    if whole:
        for group, units in row.kept_units.items():
            message.kept_units.add(group=group, units=units)
    message.graph.name = f"artifacts/{row.graph_digest}"
    message.graph.size_bytes = row.graph_size
    message.create_time.FromDatetime(row.create_time)
    return message
