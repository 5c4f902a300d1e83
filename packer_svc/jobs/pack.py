"""Joins fragments: features, head, one graph, proof."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import FragmentFeatures, fragment_features
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadKind, HeadSpec
from packer_svc.fusion.manifest import Part, build_manifest
from packer_svc.fusion.pack import build_pack
from packer_svc.fusion.proof import ModelSize, Proof, ProofContext, prove

PHASES = ("features", "head", "merge", "proof")
"""The steps after the features of each fragment, those counted as one step each."""


@dataclass(frozen=True, eq=False)
class PackSamples:
    """The samples of all classes of a pack.

    Attributes:
        inputs: One array per input by its name, first axis the sample.
        labels: The index of each sample's class in the pack, int64 (n,).
    """

    inputs: Mapping[str, NDArray[np.generic]]
    labels: NDArray[np.int64]


def pack_fragments(
    request: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Makes a pack and proves it.

    Args:
        request: ``folder``, to which ``pack.onnx``, ``manifest.json``, ``proof.json`` and
            ``smoke.npz`` are written; ``labels`` of the pack's outputs; ``head`` with the fields
            of `HeadSpec`; ``inputs`` as facts by name; ``ensemble`` with the originals' parameters,
            MACs and bytes; ``fragments``, each with ``graph`` and ``samples`` as paths, its
            ``class`` in its model, its ``output`` in the pack, and ``part`` for the manifest.
        report: Takes ``{"phase", "layer", "done", "total"}``.

    Returns:
        ``parameters``, ``macs`` and ``proof_summary``.

    Raises:
        FusionError: The samples do not fit, or the proof failed.
        GraphError: A fragment cannot be run or merged.
    """
    torch.set_num_threads(1)
    folder, fragments = Path(request["folder"]), request["fragments"]
    spec = HeadSpec(**{**request["head"], "kind": HeadKind(request["head"]["kind"])})
    samples = gather_samples(fragments)
    graphs = [Path(fragment["graph"]).read_bytes() for fragment in fragments]
    total = len(graphs) + len(PHASES) - 1

    def step(phase: str, layer: str, done: int) -> None:
        report({"phase": phase, "layer": layer, "done": done, "total": total})

    features: list[FragmentFeatures] = []
    for place, graph in enumerate(graphs):
        step("features", fragments[place]["part"]["fragment"], place)
        features.append(fragment_features(graph, samples.inputs))
    step("head", "", len(graphs))
    serves = [[fragment["output"]] for fragment in fragments]
    labels = request["labels"]
    head, found = fit_head(features, samples.labels, len(labels), spec, serves=serves)
    step("merge", "", len(graphs) + 1)
    pack = build_pack(graphs, head, labels)
    step("proof", "", len(graphs) + 2)
    context = ProofContext(found, features, ModelSize(**request["ensemble"]), seed=spec.seed)
    proof = prove(pack, graphs, head, samples.inputs, samples.labels, context)
    proof.require()
    parts = [Part(**fragment["part"]) for fragment in fragments]
    manifest = build_manifest(parts, labels, request["inputs"], (spec, found), proof)
    (folder / "pack.onnx").write_bytes(pack)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True))
    (folder / "proof.json").write_text(json.dumps(proof.to_json(), indent=2, sort_keys=True))
    (folder / "smoke.npz").write_bytes(proof.smoke_test)
    return {
        "parameters": proof.size.parameters,
        "macs": proof.size.macs,
        "proof_summary": _summary(proof),
    }


def _summary(proof: Proof) -> dict[str, float]:
    """What a proof says, by the fields of `packer.v1.ProofSummary`."""
    validated = proof.cross_validation
    return {
        "max_absolute_difference": proof.max_abs,
        "top1_agreement": proof.top1,
        "in_sample_accuracy": proof.in_sample_accuracy,
        "cross_validated_accuracy": -1.0 if validated is None else validated.accuracy,
    }


def gather_samples(fragments: Sequence[Mapping[str, Any]]) -> PackSamples:
    """Reads the samples of every fragment's class, each class once an output.

    Args:
        fragments: Each with ``samples``, ``class``, ``output`` and ``part``.

    Raises:
        FusionError: SAMPLES_CLASS_MISSING, a fragment's class has no sample.
    """
    inputs: dict[str, list[NDArray[np.generic]]] = {}
    labels: list[NDArray[np.int64]] = []
    seen: set[tuple[str, int, int]] = set()
    for fragment in fragments:
        key = (fragment["samples"], fragment["class"], fragment["output"])
        if key in seen:
            continue
        seen.add(key)
        with np.load(fragment["samples"], allow_pickle=False) as arrays:
            chosen = arrays["labels"] == fragment["class"]
            if not chosen.any():
                raise _no_samples(Part(**fragment["part"]))
            for name in arrays.files:
                if name != "labels":
                    inputs.setdefault(name, []).append(arrays[name][chosen])
        labels.append(np.full(int(chosen.sum()), fragment["output"], dtype=np.int64))
    return PackSamples(
        {name: np.concatenate(parts) for name, parts in inputs.items()}, np.concatenate(labels)
    )


def _no_samples(part: Part) -> FusionError:
    return FusionError(
        FusionReason.SAMPLES_CLASS_MISSING,
        f"The samples of {part.fragment} have none of its class, {part.label!r} in the pack.",
        advice="Submit its model again with samples of every class.",
        metadata={"label": part.label},
    )
