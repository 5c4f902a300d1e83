"""Clones classes: localises them, puts them into the target, proves what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import onnx_ir as ir
import torch

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.cost import cost
from onnxgraph.parity import Runner
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from packer_svc.cloning.choice import Chosen, Cloning, put_in
from packer_svc.cloning.classifier import Classified, classified
from packer_svc.cloning.head import CloneHead
from packer_svc.cloning.masks import Masked, masked
from packer_svc.cloning.merged import merge_clone
from packer_svc.fusion.conversion import adapted
from packer_svc.fusion.heads.model import HeadReport
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.layout.quickest import Laid, Target, quickest
from packer_svc.fusion.manifest import Part, build_manifest
from packer_svc.fusion.original_times import OriginalTimes
from packer_svc.fusion.originals import compared, timed
from packer_svc.fusion.precision import Precision
from packer_svc.fusion.proof import ModelSize, Proof
from packer_svc.fusion.prove import ProofContext, model_size, prove
from packer_svc.fusion.run_time import run_time
from packer_svc.fusion.samples import PackSamples
from packer_svc.jobs.budget import Weighed
from packer_svc.jobs.class_samples import ClassReader, gather_samples, read_inputs
from packer_svc.jobs.judge import Judge
from packer_svc.jobs.outcome import Outcome
from packer_svc.jobs.papers import write_papers

PHASES = ("localise", "insert", "head", "layout", "proof")
"""The steps in their order."""


def clone_classes(
    request: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Makes a pack of a target and classes cloned into it, and proves it.

    Args:
        request: As of `pack_fragments`, of which it reads ``folder``, ``title``, ``labels``,
            ``inputs``, ``ensemble``, ``originals``, ``fragments``, ``features``, ``threads`` and
            ``evaluation``. The fragments are the target's own classes, each with the target's whole
            graph, then the cloned ones, each with the graph of its part. Beside it ``clone``:
            ``own``, how many classes are the target's; ``masks``, whether the part's graph is the
            whole source and to be masked; ``position``, or "" to have it chosen; ``seed``; and
            ``told``, what the manifest is to say of both models.
        report: Takes ``{"phase", "layer", "done", "total"}``.

    Returns:
        ``parameters``, ``macs``, ``proof_summary``, ``position`` and ``added_parameters``.

    Raises:
        FusionError: The target has no such position, the samples do not fit, or the proof failed.
        GraphError: A graph cannot be cut, run or merged.
    """
    torch.set_num_threads(1)
    task = _Task.of(request, report)
    judge = Judge.of(request, task.spec, task.samples)
    part = task.localised()
    chosen = None if part is None else task.put_in(part.graph)
    task.begin("head")
    with ThreadPoolExecutor(request["threads"]) as pool:
        inputs = task.samples.inputs
        beside = pool.submit(_beside_originals, request)
        fitted = task.fitted([task.target] if chosen is None else [task.target, chosen.branch])
        told = fitted.report
        graphs = [fragment.graph for fragment in fitted.fragments]
        merged = merge_clone(graphs, fitted.head, request["labels"])
        task.begin("layout")
        laid = quickest(merged, Target(Precision.FP32, inputs, Path(request["features"])))
        task.begin("proof")
        proof = task.proven(fitted, merged, laid)
        outcome = Outcome(
            proof,
            laid.time or run_time(Runner(laid.pack), inputs),
            judge.verdict(laid.pack, task.samples, told.cross_validation),
            Weighed({}, {}),
        )
        target_size = model_size(task.target)
        added = proof.size.parameters - target_size.parameters
        clone = task.told(part, chosen) | {"added_parameters": added, "tapped": fitted.tapped}
        _write(task, outcome, (told, laid), {"clone": clone} | beside.result())
    return {
        "parameters": proof.size.parameters,
        "macs": proof.size.macs,
        "proof_summary": outcome.summary(),
        "position": "" if chosen is None else chosen.position,
        "added_parameters": added,
    }


@dataclass(frozen=True, eq=False)
class _Task:
    """What was asked for, read.

    Attributes:
        request: As of `clone_classes`.
        report: Likewise.
        target: The target as the pack feeds it, with the outputs of a fragment.
        samples: Of all classes.
    """

    request: Mapping[str, Any]
    report: Callable[[dict[str, Any]], None]
    target: bytes
    samples: PackSamples

    @classmethod
    def of(cls, request: Mapping[str, Any], report: Callable[[dict[str, Any]], None]) -> Self:
        """Reads graphs and samples."""
        inputs, asked = read_inputs(request["inputs"]), request["fragments"]
        samples = gather_samples(asked, ClassReader(inputs))
        return cls(request, report, _whole(asked[0], request), samples)

    @property
    def clone(self) -> Mapping[str, Any]:
        """What is asked of the cloning itself."""
        found: Mapping[str, Any] = self.request["clone"]
        return found

    @property
    def cloned(self) -> Sequence[Mapping[str, Any]]:
        """The cloned classes."""
        found: Sequence[Mapping[str, Any]] = self.request["fragments"][self.clone["own"] :]
        return found

    @property
    def places(self) -> tuple[int, ...]:
        """Of each cloned class its place in the source's scores."""
        return tuple(one["class"] for one in self.cloned)

    @property
    def spec(self) -> HeadSpec:
        """How the head is fitted."""
        return HeadSpec(seed=self.clone["seed"])

    def begin(self, phase: str, layer: str = "") -> None:
        """Says what is done now."""
        done, total = PHASES.index(phase), len(PHASES)
        self.report({"phase": phase, "layer": layer, "done": done, "total": total})

    def localised(self) -> Masked | None:
        """The source's part for the cloned classes; None where there is none left."""
        self.begin("localise")
        if not self.cloned:
            return None
        first = self.cloned[0]
        if not self.clone["masks"]:
            graph = Path(first["graph"]).read_bytes()
            return Masked(_fed(graph, first, self.request), None)
        whole = _whole(first, self.request)
        reader = ClassReader(read_inputs(self.request["inputs"]))
        known = [reader.block(first, place, place) for place in range(len(first["model_labels"]))]
        shown = PackSamples.of([block for block in known if len(block)])
        return masked(whole, shown, self.places, self.clone["seed"])

    def put_in(self, part: bytes) -> Chosen:
        """The part in its place."""
        own, seed = self.clone["own"], self.clone["seed"]
        cloning = Cloning(self.target, part, self.samples, own, self.places, seed)
        return put_in(cloning, self.clone["position"], lambda name: self.begin("insert", name))

    def fitted(self, graphs: Sequence[bytes]) -> Classified:
        """The head, and what its fit says."""
        shape = CloneHead(self.clone["own"], self.places, None)
        return classified(graphs, self.samples, shape, self.clone["seed"])

    def proven(self, fitted: Classified, merged: ir.Model, laid: Laid) -> Proof:
        """The proof of the pack.

        Raises:
            FusionError: PROOF_FAILED.
        """
        counted = cost(merged)
        with ThreadPoolExecutor(1) as pool:
            context = ProofContext(
                fitted.report,
                features=fitted.features,
                ensemble=ModelSize(**self.request["ensemble"]),
                # Its layout adds no parameter and no arithmetic of its own.
                size=pool.submit(ModelSize, counted.parameters, counted.macs, bytes=0),
                seed=self.clone["seed"],
                threads=self.request["threads"],
            )
            samples = self.samples
            proof = prove(
                laid.pack, fitted.fragments, fitted.head, samples.inputs, samples.labels, context
            )
        proof.require()
        return proof

    def told(self, part: Masked | None, chosen: Chosen | None) -> dict[str, Any]:
        """What manifest and proof say of the cloning."""
        found: dict[str, Any] = dict(self.clone["told"])
        if part is not None and part.kept is not None:
            found["kept_units"] = part.kept
        return found | ({} if chosen is None else chosen.to_json())


def _write(
    task: _Task,
    outcome: Outcome,
    made: tuple[HeadReport, Laid],
    beside: Mapping[str, Any],
) -> None:
    """Writes the pack and all its papers."""
    folder, request, (told, laid) = Path(task.request["folder"]), task.request, made
    (folder / "pack.onnx").write_bytes(laid.pack)
    (folder / "smoke.npz").write_bytes(outcome.proof.smoke_test)
    parts = [Part(**one["part"]) for one in request["fragments"]]
    inputs = read_inputs(request["inputs"])
    head = (task.spec, told)
    manifest = build_manifest(parts, request["labels"], inputs, head, outcome.proof)
    manifest["layout"] = laid.to_json()
    manifest["clone"] = beside["clone"]
    write_papers(folder, request["title"], manifest, {**outcome.proof_json(), **beside})


def _whole(one: Mapping[str, Any], request: Mapping[str, Any]) -> bytes:
    """A model as a fragment of all of it, as the pack feeds it."""
    model = from_trusted_bytes(Path(one["graph"]).read_bytes())
    return _fed(to_bytes(as_fragment(model, find_classifier(model))), one, request)


def _fed(graph: bytes, one: Mapping[str, Any], request: Mapping[str, Any]) -> bytes:
    return adapted(graph, read_inputs(one["inputs"]), read_inputs(request["inputs"]))


def _beside_originals(request: Mapping[str, Any]) -> dict[str, Any]:
    times = OriginalTimes(Path(request["features"]))
    found = timed(request["originals"], times, threads=request["threads"])
    return compared(ModelSize(**request["ensemble"]), found)
