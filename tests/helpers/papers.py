"""Proofs and manifests as a packer writes them, of packs that nobody made."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

DIGEST = "sha256:" + 64 * "a"
Json = dict[str, Any]


def confusion(
    classes: int, samples: int = 20, share: float = 0.9, seed: int = 0
) -> list[list[int]]:
    """Counts of which about this share is on the diagonal."""
    drawn = random.Random(seed)
    counts = [[0] * classes for _ in range(classes)]
    for truth in range(classes):
        for _ in range(samples):
            answer = truth if drawn.random() < share else drawn.randrange(classes)
            counts[truth][answer] += 1
    return counts


def parity_case(leg: str, inputs: str, batch: int, max_abs: float, *, passed: bool = True) -> Json:
    """One comparison."""
    parity = {"max_abs": max_abs, "max_rel": max_abs, "cosine": 1.0, "top1": 1.0, "passed": passed}
    return {"leg": leg, "inputs": inputs, "batch": batch, "rows": 14, "parity": parity}


def original(name: str, left_out: str = "") -> Json:
    """A model that a pack was cut out of."""
    times = None if left_out else {"single_seconds": 0.0025, "batch_seconds": 0.012}
    return {
        "name": name,
        "graph_digest": DIGEST,
        "parameters": 3_680_931,
        "macs": 78_742_272,
        "bytes": 14_680_064,
        "run_time": times,
        "left_out": left_out,
    }


def proof(classes: int, **changed: Any) -> Json:
    """A proof that passed, cross-validated.

    Args:
        classes: How many classes the pack has.
        changed: Keys with other values.
    """
    counts = confusion(classes)
    total = sum(sum(row) for row in counts)
    right = sum(row[place] for place, row in enumerate(counts))
    cases = [
        parity_case(leg, inputs, batch, 1e-8 * batch)
        for inputs in ("samples", "random", "extreme")
        for leg, batch in (("optimised", 1), ("optimised", 7), ("plain", 7))
    ]
    bins = [
        {"above": 0.4, "up_to": 0.5, "samples": 4, "confidence": 0.46, "accuracy": 0.5},
        {"above": 0.9, "up_to": 1.0, "samples": total - 4, "confidence": 0.97, "accuracy": 0.95},
    ]
    return {
        "passed": True,
        "pack_digest": DIGEST,
        "tolerance": {"atol": 1e-4, "rtol": 1e-3},
        "cases": cases,
        "max_abs": 7e-8,
        "top1": 1.0,
        "in_sample_accuracy": 0.97,
        "cross_validation": {"folds": 5, "accuracy": right / total, "log_loss": 0.3},
        "confusion": {
            "kind": "head_alone",
            "optimistic": True,
            "counts": counts,
            "recall": [row[place] / sum(row) for place, row in enumerate(counts)],
        },
        "reliability": {"bins": bins, "expected_calibration_error": 0.021},
        "size": {"parameters": 1_459_253, "macs": 98_373_744, "bytes": 5_868_667},
        "ensemble": {
            "parameters": 11_046_683,
            "macs": 236_230_701,
            "bytes": 44_186_732,
            "run_time": {"single_seconds": 0.0075, "batch_seconds": 0.036},
            "run_time_is": "sum_of_originals",
        },
        "originals": [original("models/pets"), original("models/boats")],
        "run_time": {"single_seconds": 0.0025, "batch_seconds": 0.015},
        "precision": None,
        "smoke_test": DIGEST,
        "seed": 0,
        "processor": "a processor",
        **changed,
    }


def image() -> Json:
    """An input that takes pictures."""
    picture = {"channels_last": False, "minimum": -2.0, "maximum": 2.0, "mean": [], "deviation": []}
    return {"name": "image", "shape": [3, 32, 32], "element_type": "float32", "image": picture}


def manifest(labels: Sequence[str], **changed: Any) -> Json:
    """A manifest of a pack with one fragment a class.

    Args:
        labels: The classes.
        changed: Keys with other values.
    """
    fragments = [
        {
            "fragment": f"models/m{place % 3}/fragments/f-{place}",
            "label": label,
            "graph_digest": DIGEST,
            "samples_digest": DIGEST,
            "licence": "MIT" if place % 2 else "",
        }
        for place, label in enumerate(labels)
    ]
    times = {"1": 0.0025, "8": 0.015}
    return {
        "classes": list(labels),
        "fragments": fragments,
        "inputs": [image()],
        "head": {"spec": {}, "report": {"kind": "closed_form", "inputs": "both"}},
        "seed": 0,
        "precision": "fp32",
        "graph": {"digest": DIGEST, "parameters": 1, "macs": 1, "bytes": 5_868_667},
        "smoke_test": {"digest": DIGEST, "bytes": 1},
        "ensemble": None,
        "versions": {"fusion": "3"},
        "layout": {"chosen": "separate", "run_times": {"separate": times, "stacked": times}},
        **changed,
    }


def none_of_these() -> Json:
    """A second output with its curve."""
    rates = [place / 50 for place in range(51)]
    return {
        "auc": 0.931,
        "threshold": 0.42,
        "roc": {
            "false_positive_rate": rates,
            "true_positive_rate": [rate**0.15 for rate in rates],
        },
        "samples_inside": 100,
        "samples_outside": 80,
        "origin": "Samples of other classes of the same models.",
    }


def evaluation(classes: int, kind: str = "evaluation_samples") -> Json:
    """An evaluation, as the gate writes it."""
    return {
        "kind": kind,
        "accuracy": 0.912,
        "error": 0.088,
        "error_upper_bound": 0.104,
        "samples": 1000,
        "confusion": confusion(classes, 200, 0.912, seed=1),
        "optimistic": kind == "head_alone",
    }


def budget() -> Json:
    """A budget, as the planner writes it."""
    fragments = ["models/pets/fragments/f-1", "models/pets/fragments/f-2"]
    share = {"share": 0.3, "parameters": 800_000, "predicted_error": 0.02}
    return {
        "asked": {"kind": "macs", "value": 0.25},
        "before": {"parameters": 3_000_000, "accuracy": 0.93, "fragments": fragments},
        "after": {"parameters": 1_459_253, "accuracy": 0.912, "fragments": fragments},
        "shares": [{"fragments": fragments} | share],
    }


def precision_check() -> Json:
    """What eight-bit integers cost."""
    cases = [parity_case("", inputs, 0, 0.02) for inputs in ("samples", "random", "extreme")]
    return {
        "precision": "int8",
        "kept_in_float": ["fragment0.conv1", "fragment1.conv1"],
        "divergence": 0.0023,
        "in_sample_accuracy": 0.95,
        "in_sample_accuracy_fp32": 0.96,
        "cases": [{key: one[key] for key in ("inputs", "rows", "parity")} for one in cases],
        "passed": True,
    }
