"""``python -m benchmarks.evaluation``: what a pack's error is judged to be, and what it is.

In a running market, by its own command line: origins trained on CIFAR-10 are submitted with k
samples a class, five classes are sliced and packed, and the pack is judged by its head alone,
sliced anew, and on evaluation samples. What it gets wrong of all other test pictures is the true
error.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import arguments as take
from benchmarks.demo.market import Market
from benchmarks.demo.services import running_services
from benchmarks.paper.bench import Bench
from benchmarks.paper.command_line import FAILURES, write_measured
from benchmarks.paper.corpus import Inputs, Rows
from benchmarks.paper.features import guesses
from benchmarks.paper.samples import Draw
from benchmarks.paper.setting import Setting
from benchmarks.paper.tasks import TASKS
from onnxgraph.serialise import to_bytes
from slicer_svc.slicing.recipe import Recipe
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.evaluation"
TARGET = (0, 1, 3, 4, 6)
"""The classes of the pack: two of two origins of T1, one of the third."""
RANGE = "-2,2"
"""The values of the origins' pictures."""


@dataclass(frozen=True)
class Outcome:
    """One pack.

    Attributes:
        draw: Which draw of the samples.
        true_error: On test pictures that nothing else has seen.
        test: How many those were.
        judged: By kind, what `packer.v1.Evaluation` says.
    """

    draw: str
    true_error: float
    test: int
    judged: Mapping[str, Mapping[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes ``evaluation.json``.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `write_measured`.
    """
    # The services' commands tell what they met as a RuntimeError.
    failures = (*FAILURES, RuntimeError)
    return write_measured(_parser(), arguments, _measured, "evaluation.json", failures)


def _measured(parsed: argparse.Namespace) -> dict[str, object]:
    outcomes = _outcomes(parsed)
    return {"summary": summary(outcomes), "packs": [asdict(one) for one in outcomes]}


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--data", type=Path, required=True, help="folder of CIFAR-10")
    add("--out", type=Path, required=True, help="folder of results; .cache in it is shared by runs")
    add("--width", type=take.factor, default=0.25, help="factor on the channels of the origins")
    add("--k", type=take.count, default=20, help="samples of each class")
    add("--views", type=take.count, default=8, help="augmented views of a sample")
    add("--budget-macs", type=take.share, default=0.25, help="share of the MACs of the origins")
    add("--evaluation-samples", type=_samples, default=200, help="how many, over all classes")
    add("--seeds", type=take.count, default=1, help="seeds of the origins, from 0 on")
    add("--draws", type=take.count, default=3, help="draws of the samples of each seed")
    add(
        "--trained-on",
        action="store_true",
        help="submit pictures that the origins were trained on, as whoever has no others does",
    )
    add("--threads", type=take.count, default=usable_cores(), help="of training and testing")
    add("--force", action="store_true", help="replace a document that is there")
    return found


def _samples(text: str) -> int:
    """Reads how many evaluation samples there are: every class has one."""
    found = take.count(text)
    if found < len(TARGET):
        raise argparse.ArgumentTypeError(f"{found} are fewer than the classes, {len(TARGET)}")
    return found


def _outcomes(parsed: argparse.Namespace) -> list[Outcome]:
    found = []
    for seed in range(parsed.seeds):
        bench = _bench(parsed, seed)
        for number in range(parsed.draws):
            # A market of its own: nobody reads the samples of another draw.
            with tempfile.TemporaryDirectory() as folder, running_services(Path(folder)) as where:
                draw = _draw(bench, parsed, seed, number)
                made = _judged(Market(where), bench, parsed, draw)
                found.append(Outcome(f"{seed}.{number}", *made))
    return found


def _bench(parsed: argparse.Namespace, seed: int) -> Bench:
    setting = Setting(
        task="T1",
        arch="vgg16",
        k=parsed.k,
        slicing=Recipe(),
        data=parsed.data,
        out=parsed.out,
        method="closed_form",
        width=parsed.width,
        seed=seed,
        draws=parsed.draws,
        baselines=(),
        threads=parsed.threads,
    )
    return Bench.of(setting, TASKS["T1"])


def _draw(bench: Bench, parsed: argparse.Namespace, seed: int, number: int) -> Draw:
    """The samples that are submitted: test pictures, unless those of the training are asked for."""
    corpus = bench.corpus
    if not parsed.trained_on:
        corpus = replace(corpus, train=corpus.test)
    return Draw(corpus, parsed.k, seed, number)


def _judged(
    market: Market, bench: Bench, parsed: argparse.Namespace, draw: Draw
) -> tuple[float, int, dict[str, Any]]:
    """True error, how many pictures tell it, and what each way of judging says."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = ("--budget-macs", str(parsed.budget_macs), "--views", str(parsed.views))
        fragments = _sliced(market, bench, draw, folder, size)
        inputs, labels = _test(bench, None if parsed.trained_on else draw)
        chosen = _evaluation_rows(labels, parsed.evaluation_samples // len(TARGET), draw.seed)
        samples = folder / "evaluation.npz"
        arrays = {key: array[chosen] for key, array in inputs.items()}
        names = np.array([bench.corpus.names[TARGET[place]] for place in labels[chosen]])
        np.savez(samples, allow_pickle=False, labels=names, **arrays)
        ways = {
            "head_alone": ("--evaluation", "head-alone"),
            "sliced_anew": ("--evaluation", "sliced-anew"),
            "evaluation_samples": ("--evaluation-samples", str(samples)),
        }
        told = {}
        for kind, way in ways.items():
            pack = market.run("packs", "create", *fragments, *way)
            told[kind] = pack["proof_summary"]["evaluation"]
        graph = folder / "pack.onnx"
        market.run("packs", "download", pack["name"], "--to", str(graph))
        rest = np.setdiff1d(np.arange(len(labels)), chosen)
        unseen = {key: array[rest] for key, array in inputs.items()}
        wrong = guesses(graph.read_bytes(), unseen, parsed.threads) != labels[rest]
        return float(wrong.mean()), len(rest), told


def _test(bench: Bench, draw: Draw | None) -> tuple[Mapping[str, Inputs], Rows]:
    """Test pictures and labels of the target, without those that were submitted."""
    inputs, labels = bench.test(TARGET)
    if draw is None:
        return inputs, labels
    submitted = np.concatenate([draw.rows(label) for label in TARGET])
    left = ~np.isin(bench.corpus.test.rows_of(TARGET), submitted)
    return {name: array[left] for name, array in inputs.items()}, labels[left]


def _sliced(
    market: Market, bench: Bench, draw: Draw, folder: Path, size: Sequence[str]
) -> list[str]:
    """Submits the origins and slices the target's classes; returns the fragments in its order."""
    for place, original in bench.originals.items():
        labels = [bench.corpus.names[one] for one in original.recipe.classes]
        samples = draw.samples(original.recipe.classes, bench.input_name)
        graph, arrays = folder / f"{place}.onnx", folder / f"{place}.npz"
        graph.write_bytes(to_bytes(original.model))
        np.savez(arrays, allow_pickle=False, labels=samples.labels, **samples.inputs)
        market.run(
            *("models", "submit", str(graph), "--samples", str(arrays), "--id", f"origin-{place}"),
            *("--labels", ",".join(labels), "--image", bench.input_name, "--range", RANGE),
        )
    found: dict[str, str] = {}
    for place, original in bench.originals.items():
        wanted = [one for one in original.recipe.classes if one in TARGET]
        chosen = [part for one in wanted for part in ("--class", bench.corpus.names[one])]
        sliced = market.run("models", "slice", f"origin-{place}", *chosen, *size)
        found |= {fragment["label"]: str(fragment["name"]) for fragment in sliced}
    return [found[bench.corpus.names[one]] for one in TARGET]


def _evaluation_rows(
    labels: np.ndarray[Any, np.dtype[np.int64]], per_class: int, seed: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    random = np.random.default_rng(seed)
    drawn = [
        random.choice(np.flatnonzero(labels == place), per_class, replace=False)
        for place in range(len(TARGET))
    ]
    return np.sort(np.concatenate(drawn))


def summary(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """By kind: the mean error judged and its distance from the true one; how often bounds held."""
    true = [one.true_error for one in outcomes]
    kinds = {}
    for kind in outcomes[0].judged:
        judged = [one.judged[kind] for one in outcomes]
        errors = [float(one["error"]) for one in judged]
        bounds = [float(one["error_upper_bound"]) for one in judged]
        kinds[kind] = {
            "error": statistics.mean(errors),
            "too_low_by": statistics.mean(t - e for t, e in zip(true, errors, strict=True)),
            "error_upper_bound": statistics.mean(bounds),
            "bounds_held": sum(b >= t for t, b in zip(true, bounds, strict=True)),
        }
    return {"packs": len(outcomes), "true_error": statistics.mean(true), "by_kind": kinds}


if __name__ == "__main__":
    sys.exit(main())
