"""What the commands that run experiments have in common."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.paper.baselines.registry import BASELINES
from benchmarks.paper.bench import SettingError
from benchmarks.paper.images import DataMissingError
from benchmarks.paper.networks import IMAGE_NETWORKS
from benchmarks.paper.result import device
from benchmarks.paper.samples import TooFewExamplesError
from benchmarks.paper.setting import RANDOM, Setting, slicing_method
from benchmarks.paper.storage import save_json
from benchmarks.paper.tasks import TASKS, LabelOrder
from slicer_svc.slicing.errors import SlicingError
from slicer_svc.slicing.recipe import Adaptation, Criterion, Method, Recipe
from svckit.cores import usable_cores

FAILED = 1
REFUSED = 2
INTERRUPTED = 130

FAILURES = (SettingError, DataMissingError, TooFewExamplesError, SlicingError)
"""What a run may meet that is not its own fault: the message is all that there is to tell."""


def run_once(
    asked: Callable[[], Setting],
    run: Callable[[Setting], Mapping[str, object]],
    *,
    force: bool,
) -> int:
    """Runs an experiment and writes its document, whole or not at all.

    Args:
        asked: Reads the command line.
        run: Makes the document.
        force: Whether a document that is there is replaced.

    Returns:
        The exit code: 0, or 1 where the run cannot be made, 2 where its document is there, 130
        where it was interrupted.
    """
    try:
        setting = asked()
    except (SlicingError, ValueError) as error:
        return _told(str(error), FAILED)
    torch.set_num_threads(setting.threads)
    return write_once(setting.path, lambda: run(setting), force=force)


def write_once(
    path: Path,
    run: Callable[[], Mapping[str, object]],
    *,
    force: bool,
    failures: tuple[type[Exception], ...] = FAILURES,
) -> int:
    """Makes a document and writes it, whole or not at all.

    Args:
        path: Where it is written.
        run: Makes it.
        force: Whether a document that is there is replaced.
        failures: Errors that are told by their message.

    Returns:
        The exit code, as of `run_once`.
    """
    if path.exists() and not force:
        return _told(f"{path} is there: name --force to replace it", REFUSED)
    try:
        found = run()
    except failures as error:
        return _told(str(error), FAILED)
    except KeyboardInterrupt:
        return _told("interrupted: no document was written", INTERRUPTED)
    save_json(path, found)
    print(path)
    return 0


def write_measured(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    measure: Callable[[argparse.Namespace], Mapping[str, object]],
    name: str | Callable[[argparse.Namespace], str],
    failures: tuple[type[Exception], ...] = FAILURES,
) -> int:
    """Runs a benchmark and writes its document, with the command and the device that made it.

    Args:
        parser: Reads the command line; it has ``out``, ``threads`` and ``force``.
        arguments: Of the command line; those of the process where None.
        measure: Makes the figures.
        name: The document's, in the folder ``out``.
        failures: Errors that are told by their message.

    Returns:
        The exit code, as of `run_once`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = parser.parse_args(given)
    torch.set_num_threads(parsed.threads)

    def run() -> Mapping[str, object]:
        command = f"{parser.prog} {shlex.join(given)}".strip()
        return {"command": command, **measure(parsed), "device": device(parsed.threads)}

    path = parsed.out / (name if isinstance(name, str) else name(parsed))
    return write_once(path, run, force=parsed.force, failures=failures)


def experiment_parser(program: str, description: str) -> argparse.ArgumentParser:
    """The command line of an experiment.

    Args:
        program: How it is called.
        description: What it does.
    """
    found = argparse.ArgumentParser(prog=program, description=description)
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
    size.add_argument(
        "--budget-params", type=float, help="share of the parameters, word embeddings not counted"
    )
    size.add_argument("--budget-macs", type=float, help="share of the MACs")
    add("--width", type=float, default=1.0, help="factor on the origins' channels")
    add("--seed", type=int, default=0, help="of origins and draws")
    add("--draws", type=int, default=1, help="draws of the samples")
    add("--label-order", default=LabelOrder.INDEX.value, choices=[o.value for o in LabelOrder])
    add("--block", type=int, help="units are kept in multiples of this; the machine's by default")
    add("--views", type=int, default=Recipe().views, help="augmented views of a sample")
    add("--alone", action="store_true", help="slice without the other origins' samples")
    add("--criterion", choices=criteria, help="by what closed_form orders units")
    add("--adaptation", choices=sorted(a.value for a in Adaptation), help="how it repairs")
    add(
        "--baselines",
        default="ensemble,random",
        help="all, none, or some of " + ",".join((*BASELINES, RANDOM)),
    )
    add("--threads", type=int, default=usable_cores(), help="processor threads")
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
        if not 0 < getattr(parsed, name) < math.inf:
            raise ValueError(f"--{name} has to be above 0 and finite")
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
        baselines=baselines_of(parsed.baselines, parsed.arch),
        threads=parsed.threads,
        alone=parsed.alone,
    )


def baselines_of(text: str, arch: str) -> tuple[str, ...]:
    """The baselines that ``all``, ``none`` or a list with commas names, each once.

    Args:
        text: What was given.
        arch: The architecture: not every baseline is defined for text.

    Raises:
        ValueError: One is unknown, or not defined for the architecture.
    """
    pictures = arch in IMAGE_NETWORKS
    known = (*(name for name, entry in BASELINES.items() if pictures or entry.text), RANDOM)
    if text in ("all", "none"):
        return known if text == "all" else ()
    named = tuple(dict.fromkeys(text.split(",")))
    unknown = sorted(set(named) - set(known))
    if unknown:
        raise ValueError(
            f"{arch} has no baseline called {', '.join(unknown)}: {', '.join(known)} it has"
        )
    return named


def _told(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code
