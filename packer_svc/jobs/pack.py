"""Joins fragments: features, head, one graph, proof."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from packer_svc.fusion.conversion import adapted, converted, fed_alike
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.evaluation import Evaluation
from packer_svc.fusion.feature_cache import FeatureCache
from packer_svc.fusion.features import Fragment, FragmentFeatures
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadKind, HeadSpec
from packer_svc.fusion.inputs import Input
from packer_svc.fusion.layout import Laid, quickest
from packer_svc.fusion.manifest import Part, build_manifest
from packer_svc.fusion.original_times import OriginalTimes
from packer_svc.fusion.originals import compared, timed
from packer_svc.fusion.pack import build_pack
from packer_svc.fusion.precision import Precision, check_lowered, lower
from packer_svc.fusion.proof import ModelSize, Proof
from packer_svc.fusion.prove import ProofContext, model_size, prove
from packer_svc.fusion.run_time import RunTime
from packer_svc.fusion.samples import PackSamples, SampleBlock
from packer_svc.jobs.budget import Weighing
from packer_svc.jobs.judge import Judge
from packer_svc.jobs.papers import write_papers

PHASES = ("features", "head", "merge", "layout", "proof")
"""The steps after the features of each fragment, those counted as one step each."""


def pack_fragments(
    request: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Makes a pack and proves it.

    Args:
        request: ``folder``, to which ``pack.onnx``, ``smoke.npz`` and what `write_papers` writes
            go; ``title`` with the fields of `report.title.Title`; ``labels`` of the pack's
            outputs; ``head`` with the fields of `HeadSpec`; ``options`` as protobuf's JSON of
            `PackOptions`; ``inputs`` of the pack, JSON of `Input`; ``ensemble`` with the
            originals' parameters, MACs and bytes; ``originals`` as `originals.timed` takes them;
            ``fragments``, each with ``graph`` and ``samples`` as paths, its ``class`` in its model,
            its ``output`` in the pack, its own ``inputs``, and ``part`` for the manifest;
            ``budget`` as `Weighing.of` takes it; ``features``, a folder of what was computed
            before; ``threads``, how many fragments run at once; ``evaluation``, by what the pack
            is judged, see `Judge.of`.
        report: Takes ``{"phase", "layer", "done", "total"}``.

    Returns:
        ``parameters``, ``macs`` and ``proof_summary``.

    Raises:
        FusionError: The samples do not fit, or the proof failed.
        GraphError: A fragment cannot be run or merged.
    """
    torch.set_num_threads(1)
    folder, asked, threads = Path(request["folder"]), request["fragments"], request["threads"]
    labels, precision = request["labels"], _precision(request["options"])
    spec = HeadSpec(**{**request["head"], "kind": HeadKind(request["head"]["kind"])})
    inputs = read_inputs(request["inputs"])
    samples = gather_samples(asked, inputs)
    judge = Judge.of(request, spec, samples)
    graph_of = partial(_graph_of, shared=inputs)
    fragments = [Fragment(graph_of(one)) for one in asked]
    total = len(fragments) + len(PHASES) - 1

    def step(phase: str, layer: str, done: int) -> None:
        report({"phase": phase, "layer": layer, "done": done, "total": total})

    cache = FeatureCache(Path(request["features"]))
    features: list[FragmentFeatures] = []
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda fragment: cache.run(fragment, samples.blocks), fragments)
        for place, one in enumerate(asked):
            step("features", one["part"]["fragment"], place)
            features.append(next(found))
    step("head", "", len(fragments))
    serves = [[one["output"]] for one in asked]
    head, told = fit_head(features, samples.labels, len(labels), spec, serves=serves)
    step("merge", "", len(fragments) + 1)
    merged = build_pack([fragment.graph for fragment in fragments], head, labels)
    weighed = Weighing(cache, samples, labels, spec, graph_of).of(request["budget"], (merged, told))
    step("layout", "", len(fragments) + 2)
    laid = quickest(
        merged,
        samples.inputs,
        lambda graph: lower(graph, precision, samples.inputs),
        threads=threads,
        table=Path(request["features"]),
    )
    step("proof", "", len(fragments) + 3)
    with ThreadPoolExecutor(1) as pool:
        # The proof waits for ONNX Runtime most of the time.
        size = pool.submit(model_size, merged)
        context = ProofContext(
            told, features, _ensemble(request), size, seed=spec.seed, threads=threads
        )
        proof = prove(laid.pack, fragments, head, samples.inputs, samples.labels, context)
    proof.require()
    pack = laid.lowered.graph
    if precision is not Precision.FP32:
        proof = _in_fewer_bits(laid, precision, samples, proof)
    evaluation = judge.verdict(pack, samples, told.cross_validation)
    parts = [Part(**one["part"]) for one in asked]
    manifest = build_manifest(parts, labels, inputs, (spec, told), proof) | _laid_out(laid)
    (folder / "pack.onnx").write_bytes(pack)
    proven = proof.to_json() | {"run_time": asdict(laid.time), **_judged(evaluation)}
    proven |= weighed.proof | _beside_originals(request)
    write_papers(folder, request["title"], manifest, proven)
    (folder / "smoke.npz").write_bytes(proof.smoke_test)
    return {
        "parameters": proof.size.parameters,
        "macs": proof.size.macs,
        "proof_summary": _summary(proof, laid.time, evaluation) | weighed.summary,
    }


def _precision(options: Mapping[str, Any]) -> Precision:
    return Precision(options["precision"].removeprefix("PRECISION_").lower())


def _in_fewer_bits(laid: Laid, precision: Precision, samples: PackSamples, proof: Proof) -> Proof:
    """The proof of a pack in a lower precision.

    Raises:
        FusionError: PROOF_FAILED: it costs too much.
    """
    check = check_lowered(laid.pack, laid.lowered, precision, samples, seed=proof.seed)
    check.require()
    return proof.lowered(laid.lowered.graph, check, samples.inputs)


def _laid_out(laid: Laid) -> dict[str, Any]:
    times = {layout: asdict(time) for layout, time in laid.times.items()}
    return {"layout": {"chosen": laid.layout, "run_times": times}}


def _ensemble(request: Mapping[str, Any]) -> ModelSize:
    return ModelSize(**request["ensemble"])


def _beside_originals(request: Mapping[str, Any]) -> dict[str, Any]:
    """What a proof says of the originals, one by one and together."""
    times = OriginalTimes(Path(request["features"]))
    found = timed(request["originals"], times, threads=request["threads"])
    return compared(_ensemble(request), found)


def _judged(evaluation: Evaluation | None) -> dict[str, Any]:
    return {"evaluation": None if evaluation is None else evaluation.to_json()}


def _summary(proof: Proof, spent: RunTime, evaluation: Evaluation | None) -> dict[str, Any]:
    """What a proof says, by the fields of `packer.v1.ProofSummary`."""
    validated = proof.cross_validation
    return {
        "max_absolute_difference": proof.max_abs,
        "top1_agreement": proof.top1,
        "in_sample_accuracy": proof.in_sample_accuracy,
        "cross_validated_accuracy": -1.0 if validated is None else validated.accuracy,
        "precision_divergence": proof.precision.divergence if proof.precision else 0.0,
        "in_sample_accuracy_fp32": proof.in_sample_accuracy_fp32,
        "run_time": asdict(spent),
        **({} if evaluation is None else {"evaluation": evaluation.summary()}),
    }


def read_inputs(told: Sequence[dict[str, Any]]) -> tuple[Input, ...]:
    """Reads inputs from JSON."""
    return tuple(map(Input.from_json, told))


def _graph_of(one: Mapping[str, Any], shared: Sequence[Input]) -> bytes:
    return adapted(Path(one["graph"]).read_bytes(), read_inputs(one["inputs"]), shared)


def gather_samples(fragments: Sequence[Mapping[str, Any]], shared: Sequence[Input]) -> PackSamples:
    """Reads the samples of every fragment's class, each class once an output.

    Args:
        fragments: Each with ``samples``, ``class``, ``output``, ``inputs`` and ``part``.
        shared: The pack's inputs, which the samples are brought to.

    Raises:
        FusionError: SAMPLES_CLASS_MISSING, a fragment's class has no sample.
    """
    blocks: dict[tuple[str, int, int], SampleBlock] = {}
    for one in fragments:
        path, source_class, output = key = (one["samples"], one["class"], one["output"])
        if key in blocks:
            continue
        with np.load(path, allow_pickle=False) as arrays:
            chosen = arrays["labels"] == source_class
            if not chosen.any():
                raise _no_samples(Part(**one["part"]))
            inputs = {name: arrays[name][chosen] for name in arrays.files if name != "labels"}
        own = read_inputs(one["inputs"])
        name = f"{one['part']['samples_digest']} {source_class}{_told(own, shared)}"
        blocks[key] = SampleBlock(converted(inputs, own, shared), output, name)
    return PackSamples.of(list(blocks.values()))


def _told(own: Sequence[Input], shared: Sequence[Input]) -> str:
    """Tells converted samples from those that they were made of."""
    if fed_alike(own, shared):
        return ""
    return " as " + json.dumps([one.to_json() for one in (*own, *shared)])


def _no_samples(part: Part) -> FusionError:
    return FusionError(
        FusionReason.SAMPLES_CLASS_MISSING,
        f"The samples of {part.fragment} have none of its class, {part.label!r} in the pack.",
        advice="Submit its model again with samples of every class.",
        metadata={"label": part.label},
    )
