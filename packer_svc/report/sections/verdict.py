"""The verdict, and the four figures that people ask for first."""

import math
from collections.abc import Mapping
from typing import Any

from packer_svc.report.figures import NOTHING, plural, ratio, share, small
from packer_svc.report.markup import escaped, paragraph
from packer_svc.report.sections.evidence import best


def verdict(proof: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Whether the pack passed, and what that means."""
    kind, word = ("passed", "✓ Passed.") if proof["passed"] else ("failed", "✗ Not passed.")
    text = f"<strong>{word}</strong> {_meaning(proof, manifest)}"
    box = f'<div class="verdict {kind}">{paragraph(text)}</div>'
    return f"{box}\n{_tiles(proof)}"


def _meaning(proof: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    cases, tolerance = proof["cases"], proof["tolerance"]
    parts = plural(len(manifest["fragments"]), "fragment")
    rows = sum(case["rows"] for case in cases)
    distance, allowed = small(proof["max_abs"]), small(tolerance["atol"])
    moved = (
        "some are not finite numbers"
        if math.isinf(proof["max_abs"])
        else f"they differ by up to {distance}"
    )
    failed = [case for case in cases if not case["parity"]["passed"]]
    if failed or not proof["passed"]:
        return (
            f"The pack does not compute what its {parts} and its head compute: "
            f"{len(failed)} of {plural(len(cases), 'comparison')} have probabilities outside the "
            f"tolerance, {moved}. It must not be deployed."
        )
    agreed = proof["top1"]
    same = "always" if agreed == 1 else f"on at least {share(agreed)} of the inputs"
    return (
        f"The pack computes what its {parts} and its head compute: in {len(cases)} comparisons on "
        f"{rows:,} inputs no probability differs by more than {distance} (allowed: {allowed} and "
        f"more for larger ones), and both {same} name the same class. How "
        "often that class is right is another question, which this page answers next."
    )


def _tiles(proof: Mapping[str, Any]) -> str:
    found = best(proof)
    ensemble = proof.get("ensemble") or {}
    time, whole = proof.get("run_time") or {}, ensemble.get("run_time") or {}
    size = proof["size"]
    tiles = [
        (share(found.accuracy), "accuracy", found.short),
        (
            ratio(size["parameters"], ensemble.get("parameters")),
            "of the parameters",
            "against all originals together",
        ),
        (
            ratio(size["macs"], ensemble.get("macs")),
            "of the MACs",
            "against all originals together",
        ),
        (
            ratio(time.get("batch_seconds"), whole.get("batch_seconds")),
            "of the run time",
            "batch of 8, one thread, against the originals’ sum",
        ),
    ]
    told = "".join(
        f'<li><span class="figure">{figure}</span><span class="what">{escaped(what)}</span>'
        f'<span class="how">{escaped(how)}</span></li>'
        for figure, what, how in tiles
        if figure != NOTHING
    )
    return f'<ul class="tiles">{told}</ul>'
