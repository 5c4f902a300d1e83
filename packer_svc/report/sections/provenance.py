"""Where, with what and how it was measured: what whoever repeats it needs to know."""

from collections.abc import Mapping
from typing import Any

from packer_svc.report.markup import escaped, facts, section


def provenance(proof: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Machine, versions, seeds and rules."""
    versions = manifest.get("versions") or {}
    listed = ", ".join(f"{escaped(name)} {escaped(one)}" for name, one in versions.items())
    folds = (proof.get("cross_validation") or {}).get("folds")
    return section(
        "provenance",
        "How this was measured",
        facts(
            [
                ("Processor", escaped(proof.get("processor", ""))),
                (
                    "Run times",
                    "processor time on one thread, by ONNX Runtime; other machines, "
                    "and GPUs, have other times",
                ),
                (
                    "Originals",
                    "as submitted, checked and normalised: the graphs that the slicer cuts",
                ),
                (
                    "Cross-validation",
                    f"{folds} stratified folds, of the head alone" if folds else "",
                ),
                ("Intervals", "Wilson’s, 95 %: with few samples they are wide"),
                ("Seed", escaped(proof.get("seed", ""))),
                ("Versions", listed),
            ]
        ),
    )
