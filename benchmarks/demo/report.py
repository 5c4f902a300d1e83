"""What the demo shows at its end: a table, the same as JSON, and a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
from rich.console import Console
from rich.table import Table

from benchmarks.demo.digits import LabelledDigits

COLUMNS, ROWS = 8, 3


@dataclass(frozen=True)
class Figures:
    """The demo's figures: accuracies in [0, 1], latencies in milliseconds, times in seconds.

    Attributes:
        pack_accuracy: The served pack's, on digits that nothing has seen.
        ensemble_accuracy: The served full originals' with the same head on the same samples.
        finetune_accuracy: The best finetuned original's.
        pack_parameters: Floating parameters of the pack.
        ensemble_parameters: Those of the full originals with their joint classifier.
        finetune_parameters: Those of the finetuned original.
        pack_macs: Multiply-accumulate operations per sample of the pack.
        ensemble_macs: Those of the ensemble.
        finetune_macs: Those of the finetuned original.
        pack_latency_ms: Median of single requests through Triton.
        ensemble_latency_ms: The same for the ensemble, in turns with the pack.
        walk_seconds: From the start of the services to the last prediction.
        total_seconds: The whole demo but its set-up.
    """

    pack_accuracy: float
    ensemble_accuracy: float
    finetune_accuracy: float
    pack_parameters: int
    ensemble_parameters: int
    finetune_parameters: int
    pack_macs: int
    ensemble_macs: int
    finetune_macs: int
    pack_latency_ms: float
    ensemble_latency_ms: float
    walk_seconds: float
    total_seconds: float


def write_json(figures: Figures, path: Path) -> None:
    """Writes the figures."""
    path.write_text(json.dumps(asdict(figures), indent=2) + "\n")


def print_table(figures: Figures, origin: str) -> None:
    """Prints the figures.

    Args:
        figures: The figures.
        origin: The name of the origin that finetuning chose.
    """
    table = Table(title="Digits 0, 3 and 6 out of three models, 20 samples a class")
    for heading in ("", "accuracy", "parameters", "MACs", "latency"):
        table.add_column(heading, justify="left" if not heading else "right")
    share = figures.pack_parameters / figures.ensemble_parameters
    table.add_row(
        "pack",
        f"{figures.pack_accuracy:.4f}",
        f"{figures.pack_parameters:,} ({share:.1%})",
        f"{figures.pack_macs:,} ({figures.pack_macs / figures.ensemble_macs:.1%})",
        f"{figures.pack_latency_ms:.2f} ms",
    )
    table.add_row(
        "ensemble of the originals",
        f"{figures.ensemble_accuracy:.4f}",
        f"{figures.ensemble_parameters:,}",
        f"{figures.ensemble_macs:,}",
        f"{figures.ensemble_latency_ms:.2f} ms",
    )
    table.add_row(
        f"finetuned {origin}",
        f"{figures.finetune_accuracy:.4f}",
        f"{figures.finetune_parameters:,}",
        f"{figures.finetune_macs:,}",
        "",
    )
    console = Console()
    console.print(table)
    console.print(
        f"The walk took {figures.walk_seconds:.1f} s, all of it {figures.total_seconds:.1f} s."
    )


def draw_predictions(
    digits: LabelledDigits,
    answers: Sequence[Sequence[dict[str, Any]]],
    names: Sequence[str],
    path: Path,
) -> None:
    """Draws digits with what Triton said of them, wrong answers in red.

    Args:
        digits: The digits that were sent.
        answers: For every digit its classes with their probabilities, best first.
        names: The labels of the digits' classes.
        path: The PNG file.
    """
    step = max(1, len(answers) // (COLUMNS * ROWS))
    figure, axes = plt.subplots(ROWS, COLUMNS, figsize=(COLUMNS * 1.2, ROWS * 1.5))
    for axis, place in zip(axes.flat, range(0, len(answers), step), strict=False):
        best = answers[place][0]
        right = best["label"] == names[digits.labels[place]]
        axis.imshow(digits.images[place, 0], cmap="gray_r")
        axis.set_title(
            f"{best['label']} {best['probability']:.2f}", color="black" if right else "red", size=9
        )
        axis.set_axis_off()
    figure.suptitle("Predicted by one pack through Triton", size=11)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
