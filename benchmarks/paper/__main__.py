"""``python -m benchmarks.paper``: one of the paper's experiments, one JSON document."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.paper.baselines.registry import BASELINES
from benchmarks.paper.bench import Bench, SettingError
from benchmarks.paper.experiment import run_draw
from benchmarks.paper.images import DataMissingError
from benchmarks.paper.result import document
from benchmarks.paper.samples import TooFewExamplesError
from benchmarks.paper.setting import RANDOM, Setting, slicing_method
from benchmarks.paper.storage import save_json
from benchmarks.paper.tasks import TASKS, LabelOrder
from slicer_svc.slicing.errors import SlicingError
from slicer_svc.slicing.recipe import Adaptation, Criterion, Method, Recipe

FAILED = 1
REFUSED = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one experiment and writes its document.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code: 0, or 1 where the run cannot be made, 2 where its document is there, 130
        where it was interrupted. Nothing is written unless it is 0.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = parser().parse_args(given)
    try:
        setting = setting_of(parsed)
    except (SlicingError, ValueError) as error:
        return _told(str(error), FAILED)
    if setting.path.exists() and not parsed.force:
        return _told(f"{setting.path} is there: name --force to replace it", REFUSED)
    torch.set_num_threads(setting.threads)
    try:
        found = run(setting)
    except (SettingError, DataMissingError, TooFewExamplesError, SlicingError) as error:
        return _told(str(error), FAILED)
    except KeyboardInterrupt:
        return _told("interrupted: no document was written", INTERRUPTED)
    command = f"python -m benchmarks.paper {shlex.join(given)}"
    save_json(setting.path, {"command": command} | found)
    print(setting.path)
    return 0


def run(setting: Setting) -> dict[str, object]:
    """Runs one experiment.

    Returns:
        Its document.
    """
    bench = Bench.of(setting)
    return document(bench, [run_draw(bench, number) for number in range(setting.draws)])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__)
    criteria = sorted(criterion.value for criterion in Criterion)
    methods = [*(method.value for method in Method), *criteria]
    add = found.add_argument
    add("--task", required=True, choices=sorted(TASKS))
    add("--arch", required=True, choices=["vgg16", "resnet34", "rnn", "cnn"])
    add("--k", required=True, type=int, help="samples of each class")
    add("--method", default=Method.CLOSED_FORM.value, choices=methods, help="or a criterion")
    add("--data", required=True, type=Path, help="folder of the data sets")
    add("--out", required=True, type=Path, help="folder of results; .cache in it is shared by runs")
    size = found.add_mutually_exclusive_group()
    size.add_argument("--beta", type=float, help="share of every group's units that is kept")
    size.add_argument("--budget-params", type=float, help="share of the parameters")
    size.add_argument("--budget-macs", type=float, help="share of the MACs")
    add("--width", type=float, default=1.0, help="factor on the origins' channels")
    add("--seed", type=int, default=0, help="of origins and draws")
    add("--draws", type=int, default=1, help="draws of the samples")
    add("--label-order", default=LabelOrder.INDEX.value, choices=[o.value for o in LabelOrder])
    add("--block", type=int, help="units are kept in multiples of this; the machine's by default")
    add("--views", type=int, default=Recipe().views, help="augmented views of a sample")
    add("--criterion", choices=criteria, help="by what closed_form orders units")
    add("--adaptation", choices=sorted(a.value for a in Adaptation), help="how it repairs")
    add(
        "--baselines",
        default="ensemble,random",
        help="all, none, or some of " + ",".join((*BASELINES, RANDOM)),
    )
    add("--threads", type=int, default=os.cpu_count() or 1, help="processor threads")
    add("--force", action="store_true", help="replace a document that is there")
    return found


def setting_of(parsed: argparse.Namespace) -> Setting:
    """What a command line asks for.

    Raises:
        SlicingError: FIELD_INVALID, a number is out of range.
        ValueError: So is another one, or a baseline is unknown.
    """
    method, criterion, adaptation = slicing_method(parsed.method)
    for name in ("k", "draws", "threads", "width"):
        if getattr(parsed, name) <= 0:
            raise ValueError(f"--{name} has to be above 0")
    recipe = Recipe(
        method=method,
        criterion=Criterion(parsed.criterion) if parsed.criterion else criterion,
        adaptation=Adaptation(parsed.adaptation) if parsed.adaptation else adaptation,
        beta=parsed.beta,
        budget_params=parsed.budget_params,
        budget_macs=parsed.budget_macs,
        block=parsed.block,
        views=parsed.views,
    )
    return Setting(
        task=parsed.task,
        arch=parsed.arch,
        k=parsed.k,
        slicing=recipe,
        data=parsed.data,
        out=parsed.out,
        method=parsed.method,
        width=parsed.width,
        seed=parsed.seed,
        draws=parsed.draws,
        label_order=LabelOrder(parsed.label_order),
        baselines=baselines_of(parsed.baselines),
        threads=parsed.threads,
    )


def baselines_of(text: str) -> tuple[str, ...]:
    """The baselines that ``all``, ``none`` or a list with commas names, each once.

    Raises:
        ValueError: One is unknown.
    """
    known = (*BASELINES, RANDOM)
    if text in ("all", "none"):
        return known if text == "all" else ()
    named = tuple(dict.fromkeys(text.split(",")))
    unknown = sorted(set(named) - set(known))
    if unknown:
        raise ValueError(f"no baseline is called {', '.join(unknown)}: {', '.join(known)} are")
    return named


def _told(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
