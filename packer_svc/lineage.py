"""What a pack was made of: fragments, their models, and all artifacts."""

from __future__ import annotations

from google.protobuf import json_format
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.packer.v1 import reassembly_pb2

from packer_svc.origins import is_fragment
from packer_svc.store.tables import PackRow


def lineage_of(row: PackRow) -> pb.Lineage:
    """Returns the graph of a pack's origins, the pack first, every thing once."""
    artifacts: tuple[str, ...] = (
        row.graph_digest,
        row.manifest_digest,
        row.proof_digest,
        row.smoke_digest,
    )
    if row.report_digest is not None:
        artifacts = (*artifacts, row.report_digest)
    fragments = list(dict.fromkeys(part.fragment for part in row.fragments))
    nodes = {
        row.name: pb.LineageNode(
            name=row.name,
            kind="pack",
            parents=[
                *fragments,
                *(f"artifacts/{digest}" for digest in artifacts),
            ],
        )
    }
    if row.reassembly is not None:
        nodes[row.name].parents[: len(fragments)] = _add_models(row, nodes)
        return _with_artifacts(nodes)
    target_graph = "" if row.clone is None else row.clone["targetGraph"]["name"]
    for part in row.fragments:
        model = part.fragment.partition("/fragments/")[0]
        graph, samples = f"artifacts/{part.graph_digest}", f"artifacts/{part.samples_digest}"
        parents = [samples]
        if is_fragment(part.fragment):
            nodes[part.fragment] = pb.LineageNode(
                name=part.fragment, kind="fragment", licence=part.licence, parents=[model, graph]
            )
        else:
            # The whole model stands for the class.
            parents.append(graph)
        if row.clone is not None and model == row.clone["target"]:
            parents.append(target_graph)
        nodes[model] = pb.LineageNode(
            name=model, kind="model", licence=part.licence, parents=parents
        )
    return _with_artifacts(nodes)


def _add_models(row: PackRow, nodes: dict[str, pb.LineageNode]) -> list[str]:
    """Adds the models of a reassembled pack's blocks and classes; returns their names."""
    parents: dict[str, dict[str, None]] = {}
    licences: dict[str, str] = {}
    found = json_format.ParseDict(dict(row.reassembly or {}), reassembly_pb2.Reassembly())
    for block in found.blocks:
        parents.setdefault(block.model, {})[f"artifacts/{block.graph_digest}"] = None
        licences[block.model] = block.licence
    for part in row.fragments:
        parents.setdefault(part.fragment, {})[f"artifacts/{part.samples_digest}"] = None
        licences[part.fragment] = part.licence
    for name, made_of in parents.items():
        nodes[name] = pb.LineageNode(
            name=name, kind="model", licence=licences[name], parents=list(made_of)
        )
    return list(parents)


def _with_artifacts(nodes: dict[str, pb.LineageNode]) -> pb.Lineage:
    for name in [parent for node in nodes.values() for parent in node.parents]:
        if name not in nodes:
            nodes[name] = pb.LineageNode(name=name, kind="artifact")
    return pb.Lineage(nodes=nodes.values())
