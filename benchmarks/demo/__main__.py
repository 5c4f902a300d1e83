"""``python -m benchmarks.demo``: from three trained models to one pack served by Triton."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.demo.digits import DigitSplit, LabelledDigits, split_digits
from benchmarks.demo.finetune import Finetuned, finetune_best
from benchmarks.demo.latency import median_latencies_ms
from benchmarks.demo.market import Market
from benchmarks.demo.origins import ARCHITECTURES, export_origin, train_origin
from benchmarks.demo.report import Figures, draw_predictions, print_table, write_json
from benchmarks.demo.services import running_services

SEED = 0
ORIGINS: Mapping[str, Sequence[int]] = {
    "vgg": (0, 1, 2),
    "allconv": (3, 4, 5),
    "mobilenet": (6, 7, 8),
}
TARGET: Mapping[str, int] = {"vgg": 0, "allconv": 3, "mobilenet": 6}
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
BETA = 0.5
OUT = Path("out")


@dataclass(frozen=True)
class WalkResult:
    """What the walk through the services gave.

    Attributes:
        models: The Model of every origin, by name.
        packs: The Pack of the fragments and that of the whole originals, by name.
        answers: What Triton said of every test digit, by name.
        latencies_ms: The median latency, by name.
        seconds: From the start of the services to the last prediction.
    """

    models: Mapping[str, Any]
    packs: Mapping[str, Any]
    answers: Mapping[str, list[list[dict[str, Any]]]]
    latencies_ms: Mapping[str, float]
    seconds: float


def main() -> int:
    """Runs the demo.

    Returns:
        The exit code.
    """
    start = time.monotonic()
    # Whoever ends the demo politely gets what Ctrl-C gets: everything that it started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Networks this small gain nothing from a second thread, and the services want the processor.
    torch.set_num_threads(1)
    folder = OUT / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    split = split_digits(SEED)
    test = split.test.only(tuple(TARGET.values()))
    networks = train_origins(split, folder)
    result = walk(folder, test)
    say("Finetuning every original on the same samples, the baseline")
    baseline = finetune_best(networks, split.market.only(tuple(TARGET.values())), SEED)
    figures = measure(result, baseline, test, time.monotonic() - start)
    write_json(figures, OUT / "demo.json")
    labels = [NAMES[digit] for digit in TARGET.values()]
    draw_predictions(test, result.answers["digits"], labels, OUT / "demo.png")
    print_table(figures, baseline.origin)
    say(f"Figures are in {OUT / 'demo.json'}, predicted digits in {OUT / 'demo.png'}")
    return 0


def train_origins(split: DigitSplit, folder: Path) -> dict[str, nn.Sequential]:
    """Trains and exports the origins and writes the samples that go with each."""
    networks = {}
    for seed, (name, digits) in enumerate(ORIGINS.items()):
        say(f"Training {name} on the digits {', '.join(map(str, digits))}")
        networks[name] = train_origin(ARCHITECTURES[name], split.train.only(digits), seed)
        export_origin(networks[name], folder / f"{name}.onnx", dynamo=name == "allconv")
        samples = split.market.only(digits)
        np.savez(folder / f"{name}.npz", image=samples.images, labels=samples.labels)
    return networks


def walk(folder: Path, test: LabelledDigits) -> WalkResult:
    """Submits, slices, packs, deploys and predicts through the command line."""
    np.savez(folder / "test.npz", image=test.images)
    start = time.monotonic()
    say("Starting slicer, packer and Triton")
    with running_services(folder) as addresses:
        market = Market(addresses)
        models = {}
        for name, digits in ORIGINS.items():
            labels = [NAMES[digit] for digit in digits]
            graph, samples = folder / f"{name}.onnx", folder / f"{name}.npz"
            models[name] = market.submit(name, graph, samples, labels)
        # The ensemble is the same walk with nothing cut away.
        packs, answers = {}, {}
        for name, size in (("digits", BETA), ("ensemble", 1.0)):
            fragments = [
                market.slice(f"models/{origin}", NAMES[digit], "--beta", str(size))
                for origin, digit in TARGET.items()
            ]
            packs[name] = market.pack(name, fragments)
            market.deploy(name, f"packs/{name}")
            answers[name] = market.predict(name, folder / "test.npz")
        seconds = time.monotonic() - start
        say("Measuring both through the same Triton")
        latencies = median_latencies_ms(addresses.triton, list(packs), test.images)
    return WalkResult(models, packs, answers, dict(zip(packs, latencies, strict=True)), seconds)


def measure(
    result: WalkResult, baseline: Finetuned, test: LabelledDigits, seconds: float
) -> Figures:
    """Puts the figures together."""
    with torch.inference_mode():
        guesses = baseline.network(torch.from_numpy(test.images)).argmax(1).numpy()
    pack, ensemble = result.packs["digits"], result.packs["ensemble"]
    # Its new classifier is as wide as the old one, so it costs what the original does.
    origin = result.models[baseline.origin]
    return Figures(
        pack_accuracy=accuracy(result.answers["digits"], test),
        ensemble_accuracy=accuracy(result.answers["ensemble"], test),
        finetune_accuracy=float((guesses == test.labels).mean()),
        pack_parameters=int(pack["parameters"]),
        ensemble_parameters=int(ensemble["parameters"]),
        finetune_parameters=int(origin["parameters"]),
        pack_macs=int(pack["macs"]),
        ensemble_macs=int(ensemble["macs"]),
        finetune_macs=int(origin["macs"]),
        pack_latency_ms=result.latencies_ms["digits"],
        ensemble_latency_ms=result.latencies_ms["ensemble"],
        walk_seconds=result.seconds,
        total_seconds=seconds,
    )


def accuracy(answers: Sequence[Sequence[dict[str, Any]]], test: LabelledDigits) -> float:
    """Returns the share of digits whose best answer is right."""
    labels = [NAMES[digit] for digit in TARGET.values()]
    right = [
        answer[0]["label"] == labels[label]
        for answer, label in zip(answers, test.labels, strict=True)
    ]
    return float(np.mean(right))


def say(line: str) -> None:
    """Prints one line of progress at once."""
    print(line, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("Stopped.")
        sys.exit(130)
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
