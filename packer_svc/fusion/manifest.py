"""The manifest of a pack: what it is made of, in JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

from packer_svc.fusion.heads.model import HeadReport
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.precision import Precision
from packer_svc.fusion.proof import Proof, digest_of
from svckit.input_spec import InputSpec

FUSION_VERSION = "4"
"""Changes whenever the same fragments, samples and spec would give another pack."""

_PACKAGES = ("slice-and-pack", "numpy", "onnx", "onnx-ir", "onnxruntime", "scipy", "torch")


@dataclass(frozen=True)
class Part:
    """One fragment of a pack.

    Attributes:
        fragment: Its name in the slicer.
        label: The pack's class that it stands for.
        graph_digest: `sha256:<hex>` of its graph.
        samples_digest: `sha256:<hex>` of its model's samples.
        licence: Its model's, an SPDX expression; empty if none was given.
    """

    fragment: str
    label: str
    graph_digest: str
    samples_digest: str
    licence: str


def build_manifest(
    parts: Sequence[Part],
    class_labels: Sequence[str],
    inputs: Sequence[InputSpec],
    head: tuple[HeadSpec, HeadReport],
    proof: Proof,
) -> dict[str, object]:
    """The manifest as plain JSON.

    Args:
        parts: The fragments in the pack's order.
        class_labels: The labels in the order of the output "probabilities".
        inputs: What the pack is fed.
        head: What was asked for, and how it was fitted.
        proof: The pack's proof.
    """
    spec, report = head
    fitted = asdict(report)
    if report.cross_validation is not None:
        # Which classes are taken for which is the proof's to say.
        fitted["cross_validation"] = report.cross_validation.figures()
    manifest: dict[str, object] = {
        "classes": list(class_labels),
        "fragments": [asdict(part) for part in parts],
        "inputs": [one.to_json() for one in inputs],
        "head": {"spec": asdict(spec), "report": fitted},
        "seed": spec.seed,
        "precision": (Precision.FP32 if proof.precision is None else proof.precision.precision),
        "graph": {"digest": proof.pack_digest, **asdict(proof.size)},
        "smoke_test": {"digest": digest_of(proof.smoke_test), "bytes": len(proof.smoke_test)},
        "ensemble": None if proof.ensemble is None else asdict(proof.ensemble),
        "versions": {"fusion": FUSION_VERSION} | {name: version(name) for name in _PACKAGES},
    }
    if proof.none_of_these is not None:
        manifest["none_of_these"] = proof.none_of_these.to_json()
    return manifest
