"""The baselines by name, and what they answered before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.paper.baselines.camkd import camkd
from benchmarks.paper.baselines.disassembly import disassembly
from benchmarks.paper.baselines.ensemble import ensemble, ensemble_lda
from benchmarks.paper.baselines.finetune import finetune
from benchmarks.paper.storage import key_of, load_arrays, save_arrays, source_of
from benchmarks.paper.trial import Answers, Baseline, Trial

FOLDER = "benchmarks/paper"


@dataclass(frozen=True)
class Entry:
    """A baseline.

    Attributes:
        answer: Runs it.
        code: What its answers depend on beside the trial: files and folders of the repository.
        text: Whether it is defined for networks that read text.
    """

    answer: Baseline
    code: tuple[str, ...]
    text: bool = True


_HEADS = (
    f"{FOLDER}/baselines/ensemble.py",
    f"{FOLDER}/head.py",
    f"{FOLDER}/features.py",
    "packer_svc/fusion/heads",
)
_TRAINING = (f"{FOLDER}/baselines/training.py", f"{FOLDER}/features.py")

BASELINES: Mapping[str, Entry] = {
    "ensemble": Entry(ensemble, _HEADS),
    "ensemble_lda": Entry(ensemble_lda, _HEADS),
    "finetune": Entry(finetune, (f"{FOLDER}/baselines/finetune.py", *_TRAINING)),
    "camkd": Entry(camkd, (f"{FOLDER}/baselines/camkd.py", f"{FOLDER}/networks.py", *_TRAINING)),
    "disassembly": Entry(
        disassembly, (f"{FOLDER}/baselines/disassembly.py", f"{FOLDER}/features.py"), text=False
    ),
}


def kept_answers(name: str, trial: Trial, cache: Path, report: Callable[[str], None]) -> Answers:
    """Runs a baseline, or takes what the same one answered to the same trial before.

    No baseline depends on the budget, so runs that differ in it alone share them.

    Args:
        name: The baseline.
        trial: What it is given.
        cache: Folder of what several runs share.
        report: Told in a line what is being done.
    """
    entry = BASELINES[name]
    (source,) = trial.samples.inputs
    key = key_of(
        name,
        *(original.whole for original in trial.originals),
        list(trial.places),
        trial.samples.inputs[source].tobytes(),
        trial.test[source].tobytes(),
        [trial.seed, trial.views],
        source_of(*entry.code),
    )
    path = cache / "baselines" / f"{name}-{key}.npz"
    if path.exists():
        kept = load_arrays(path)
        return Answers(kept["guesses"], str(kept["chosen"]))
    report(f"running {name}")
    answers = entry.answer(trial)
    save_arrays(path, {"guesses": answers.guesses, "chosen": np.array(answers.chosen)})
    return answers
