"""The paper's figures from our runs, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.report.documents import Runs
from benchmarks.report.published import MARKET, SLICING_SECONDS, TABLE_2, TABLE_5
from benchmarks.report.tables import label_of

mpl.use("Agg")
from matplotlib import pyplot, ticker

DOTS = 150

LEVELS = (("ensemble", "-"), ("finetune", "--"), ("camkd", ":"), ("disassembly", "-."))
"""Baselines whose size is not ours to choose, and their lines in figure 4."""

IN_A_ROW = 5
"""Origins side by side in figure 7."""


def figure_4(runs: Sequence[Runs], folder: Path) -> list[Path]:
    """Accuracy against parameters and against MACs: one picture per task, network and k."""
    written = []
    for (task, arch, k), group in _by(runs, ("task", "arch", "k")).items():
        figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
        for axis, (key, name) in zip(
            axes, (("parameter_share", "parameters"), ("macs_share", "MACs")), strict=True
        ):
            _curves(axis, group, key)
            axis.set_xlabel(f"{name}, % of the ensemble's")
            axis.grid(alpha=0.3)
        for line in (*TABLE_2, *TABLE_5):
            if (line.task, line.arch, line.k) == (task, arch, k) and line.share is not None:
                place = (100 * line.share, 100 * line.accuracy)
                axes[0].plot(*place, "x", color="grey")
                # A name stands on the side where there is room for it.
                at_right = line.share < 0.6
                axes[0].annotate(
                    f"{line.method}, published",
                    place,
                    textcoords="offset points",
                    xytext=(5 if at_right else -5, -3),
                    ha="left" if at_right else "right",
                    fontsize=7,
                    color="grey",
                )
        axes[0].margins(x=0.3)
        axes[0].set_ylabel("accuracy, %")
        axes[1].legend(fontsize=7, loc="best")
        figure.suptitle(f"{task} {arch}, k = {k}: mean over targets, draws and seeds")
        written.append(_saved(figure, folder / f"figure4-{task}-{arch}-k{k}.png"))
    return written


def figure_6(markets: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """The market's expansion against the error that is put up with."""
    if not markets:
        return []
    figure, axis = pyplot.subplots(figsize=(6.5, 4.5), layout="constrained")
    for market in markets:
        label = f"{market['arch']} {market['method']} {market['budget']}, seed {market['seed']}"
        axis.plot(market["market"]["errors"], market["market"]["rates"], label=label)
    axis.plot(*zip(*MARKET, strict=True), "x", color="grey", label="published (about)")
    axis.set_xlabel("error ε")
    axis.set_ylabel("packs with at most this error, over origins")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.suptitle("Market expansion (T3)")
    return [_saved(figure, folder / "figure6.png")]


def figure_7(runs: Sequence[Runs], folder: Path) -> list[Path]:
    """How many kept units the classes of an origin have in common."""
    written = []
    for (task, arch, k), group in _by(runs, ("task", "arch", "k")).items():
        one = min(group, key=lambda runs: runs.mean("macs_share") or 1.0)
        overlaps = one.documents[0]["unit_overlap"]
        across = min(len(overlaps), IN_A_ROW)
        down = -(-len(overlaps) // across)
        figure = pyplot.figure(figsize=(2.4 * across + 3.6, 2.6 * down + 0.3), layout="constrained")
        halves: Any = figure.subfigures(1, 2, width_ratios=[2.4 * across, 3.6])
        left, right = halves
        axes = left.subplots(down, across, squeeze=False).ravel()
        for axis, (origin, overlap) in zip(axes, overlaps.items(), strict=False):
            image = axis.imshow(np.mean(overlap["iou"], axis=0), vmin=0, vmax=1, cmap="viridis")
            places = range(len(overlap["classes"]))
            axis.set_xticks(places, overlap["classes"], fontsize=7)
            axis.set_yticks(places, overlap["classes"], fontsize=7)
            axis.set_title(f"origin {origin}, all layers", fontsize=8)
        for axis in axes[len(overlaps) :]:
            axis.set_axis_off()
        left.colorbar(image, ax=list(axes), shrink=0.8)
        _overlap_by_layer(right.subplots(), overlaps)
        figure.suptitle(f"{task} {arch}, k = {k}, {label_of(one)}: IoU of kept units", fontsize=9)
        written.append(_saved(figure, folder / f"figure7-{task}-{arch}-k{k}.png"))
    return written


def figure_8(runs: Sequence[Runs], folder: Path) -> list[Path]:
    """Seconds a class of slicing, against k, and those of planning and packing."""
    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    parts = (
        ("slice_seconds_per_class", "slicing, s a class"),
        ("plan_seconds", "planning, s a model"),
        ("pack_seconds", "packing, s a pack"),
    )
    for axis, (key, name) in zip(axes, parts, strict=True):
        for (arch, width, method), group in _by(runs, ("arch", "width", "method")).items():
            found = _mean_by_k(group, key)
            axis.plot(list(found), list(found.values()), "o-", label=f"{arch} w={width:g} {method}")
        axis.set_xlabel("k")
        axis.set_ylabel(name)
        axis.set_xlim(3, 22)
        axis.set_xticks([5, 10, 20])
        axis.grid(alpha=0.3)
    for (arch, seconds), mark in zip(SLICING_SECONDS.items(), "x+", strict=True):
        label = f"{arch}, A100, published"
        places, times = list(seconds), list(seconds.values())
        axes[0].plot(places, times, f"{mark}--", color="grey", label=label)
    axes[0].set_yscale("log")
    for axis in axes[1:]:
        axis.set_ylim(0, 1.1 * axis.get_ylim()[1])
    axes[0].legend(fontsize=7)
    devices = sorted({document["device"] for one in runs for document in one.documents})
    figure.suptitle(f"Times on {'; '.join(devices)} (dashed: published)", fontsize=9)
    return [_saved(figure, folder / "figure8.png")]


def _curves(axis: Any, group: Sequence[Runs], key: str) -> None:  # noqa: ANN401 - matplotlib
    methods = _by(group, ("method", "criterion", "adaptation", "width"))
    for number, ((method, criterion, adaptation, width), members) in enumerate(methods.items()):
        points = sorted(
            (100 * (one.mean(key) or 0.0), 100 * (one.mean("accuracy") or 0.0), one)
            for one in members
        )
        color = f"C{number % 10}"
        label = f"{method} ({criterion}, {adaptation}), w={width:g}"
        axis.plot([x for x, _, _ in points], [y for _, y, _ in points], "o-", c=color, label=label)
        random = [
            (x, 100 * share) for x, _, one in points if (share := one.mean("random_accuracy"))
        ]
        if random:
            axis.plot(*zip(*random, strict=True), "s:", c=color, alpha=0.6, label="random units")
        for name, style in LEVELS:
            shares = [share for one in members if (share := one.mean(f"{name}_accuracy"))]
            if shares:
                mean = 100 * float(np.mean(shares))
                axis.axhline(mean, ls=style, c=color, alpha=0.4, label=f"{name}, w={width:g}")


def _overlap_by_layer(axis: Any, overlaps: Mapping[str, Any]) -> None:  # noqa: ANN401
    for origin, overlap in overlaps.items():
        count = len(overlap["classes"])
        apart = ~np.eye(count, dtype=np.bool_)
        means = [float(np.asarray(iou)[apart].mean()) for iou in overlap["iou"]]
        axis.plot(range(1, len(means) + 1), means, "o-", ms=3, label=f"origin {origin}")
        axis.set_xlim(0.5, len(means) + 0.5)
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("layer", fontsize=8)
    axis.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
    axis.set_title("mean over pairs of classes", fontsize=8)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)


def _mean_by_k(group: Sequence[Runs], key: str) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for one in group:
        value = one.mean(key)
        if value is not None:
            found.setdefault(int(one["k"]), []).append(value)
    return {k: float(np.mean(found[k])) for k in sorted(found)}


def _by(runs: Sequence[Runs], keys: Sequence[str]) -> dict[tuple[Any, ...], list[Runs]]:
    found: dict[tuple[Any, ...], list[Runs]] = {}
    for one in runs:
        found.setdefault(tuple(one[key] for key in keys), []).append(one)
    return found


def _saved(figure: Any, path: Path) -> Path:  # noqa: ANN401 - matplotlib
    figure.savefig(path, dpi=DOTS)
    pyplot.close(figure)
    return path
