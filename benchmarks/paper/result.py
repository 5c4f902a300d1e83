"""The document of a run."""

from __future__ import annotations

import base64
import os
import platform
import resource
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.paper.bench import Bench
from benchmarks.paper.experiment import DrawOutcome
from benchmarks.paper.setting import PACK
from benchmarks.paper.sizes import Size
from benchmarks.paper.statistics import Correct, accuracy, paired_difference, target_means

BASELINE_NAMES = ("ensemble", "ensemble_lda", "finetune", "camkd", "disassembly", "random")
"""Every document has the accuracy of each, null where it was not run."""


def document(bench: Bench, outcomes: Sequence[DrawOutcome]) -> dict[str, Any]:
    """What is kept of a run; accuracies are fractions, times seconds, sizes bytes.

    Args:
        bench: What the run shared.
        outcomes: One a draw.
    """
    correct = {
        name: [np.stack(rows) for rows in zip(*(one.right[name] for one in outcomes), strict=True)]
        for name in outcomes[0].right
    }
    return (
        _asked(bench)
        | _accuracies(correct)
        | _sizes(bench, outcomes)
        | _times(bench, outcomes)
        | _details(bench, outcomes)
        | {"test_examples": [part.shape[1] for part in correct[PACK]]}
        | {"correct": {name: encode(parts) for name, parts in correct.items()}}
    )


def _asked(bench: Bench) -> dict[str, Any]:
    setting = bench.setting
    recipe = setting.slicing
    return {
        "task": setting.task,
        "arch": setting.arch,
        "data": bench.corpus.name,
        "k": setting.k,
        "method": setting.method,
        "criterion": recipe.criterion.value,
        "adaptation": recipe.adaptation.value,
        "budget": setting.budget,
        "block": recipe.block,
        "views": recipe.views,
        "seed": setting.seed,
        "width": setting.width,
        "draws": setting.draws,
        "label_order": setting.label_order.value,
        "alone": setting.alone,
    }


def _accuracies(correct: Mapping[str, Correct]) -> dict[str, Any]:
    by_target = target_means(correct[PACK])
    found: dict[str, Any] = {
        "accuracy": accuracy(correct[PACK]),
        "accuracy_std_targets": float(by_target.std(ddof=1)),
        "accuracy_by_target": by_target.tolist(),
    }
    for name in BASELINE_NAMES:
        found[f"{name}_accuracy"] = accuracy(correct[name]) if name in correct else None
        if name in correct:
            gap = paired_difference([correct[PACK]], [correct[name]])
            found[f"{name}_difference"] = gap.mean
            found[f"{name}_difference_ci95"] = [gap.low, gap.high]
    return found


def _sizes(bench: Bench, outcomes: Sequence[DrawOutcome]) -> dict[str, Any]:
    """Means over packs; parameters without embeddings, and with them where there are any."""
    packs = [pack.size for one in outcomes for pack in one.packs]
    whole = [bench.ensemble_size(target) for target in bench.task.targets]
    fragments = _mean([size.counted - size.head for size in packs])
    packing = _mean([size.head for size in packs])
    ensemble = _mean([size.counted for size in whole])
    macs, ensemble_macs = _mean([size.macs for size in packs]), _mean([s.macs for s in whole])
    return {
        "fragment_parameters": fragments,
        "packing_parameters": packing,
        "ensemble_parameters": ensemble,
        "parameter_share": (fragments + packing) / ensemble,
        "fragment_macs": macs,
        "ensemble_macs": ensemble_macs,
        "macs_share": macs / ensemble_macs,
    } | _with_embeddings(packs, whole)


def _with_embeddings(packs: Sequence[Size], whole: Sequence[Size]) -> dict[str, Any]:
    if not any(size.embeddings for size in whole):
        return {}
    return {
        "fragment_parameters_with_embeddings": _mean([s.parameters - s.head for s in packs]),
        "ensemble_parameters_with_embeddings": _mean([size.parameters for size in whole]),
    }


def _times(bench: Bench, outcomes: Sequence[DrawOutcome]) -> dict[str, Any]:
    origins = [one for outcome in outcomes for one in outcome.origins.values()]
    packs = [pack.seconds for outcome in outcomes for pack in outcome.packs]
    classes = sum(len(one.pieces) for one in origins)
    return {
        "train_seconds": _mean([one.train_seconds for one in bench.originals.values()]),
        "plan_seconds": _mean([one.planned.seconds for one in origins]),
        "slice_seconds_per_class": sum(one.seconds for one in origins) / classes,
        "pack_seconds": _mean(packs),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "device": device(bench.setting.threads),
    }


def _details(bench: Bench, outcomes: Sequence[DrawOutcome]) -> dict[str, Any]:
    """What the accuracies do not tell: what was chosen, and the units of the first draw."""
    origins = [one for outcome in outcomes for one in outcome.origins.values()]
    errors = [piece.feature_error for one in origins for piece in one.pieces.values()]
    names = outcomes[0].chosen
    first = outcomes[0]
    return {
        "targets": [list(target) for target in bench.task.targets],
        "feature_error": _mean(errors),
        "chosen": {name: [one.chosen[name] for one in outcomes] for name in names},
        "kept_units": {place: one.planned.plan.kept for place, one in first.origins.items()},
        "grains": {
            place: {group.group: group.grain for group in one.planned.plan.groups}
            for place, one in first.origins.items()
        },
        "unit_overlap": {place: asdict(one) for place, one in first.overlaps.items()},
    }


def device(threads: int) -> str:
    """The processor, and the accelerator where torch sees one."""
    names = [line.partition(":")[2].strip() for line in _cpu_lines()]
    processor = names[0] if names else platform.machine()
    found = f"{processor}, {threads} of {os.cpu_count()} threads"
    if torch.cuda.is_available():
        found += f"; {torch.cuda.get_device_name()}"
    return found


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return []
    return [line for line in path.read_text().splitlines() if line.startswith("model name")]


def encode(correct: Correct) -> list[list[str]]:
    """By target and draw, right answers as bits, base64."""
    return [
        [base64.b64encode(np.packbits(row).tobytes()).decode() for row in part] for part in correct
    ]


def decode(kept: Sequence[Sequence[str]], examples: Sequence[int]) -> list[NDArray[np.bool_]]:
    """What `encode` was given.

    Args:
        kept: What it returned.
        examples: Test examples of each target.
    """
    found = []
    for draws, count in zip(kept, examples, strict=True):
        rows = [np.frombuffer(base64.b64decode(bits), dtype=np.uint8) for bits in draws]
        found.append(np.unpackbits(np.stack(rows), axis=1)[:, :count].astype(np.bool_))
    return found


def _mean(values: Sequence[float]) -> float:
    return float(statistics.fmean(values))
