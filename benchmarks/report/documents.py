"""Documents of runs, those that differ in the seed alone taken together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paper.result import BASELINE_NAMES, decode
from benchmarks.paper.setting import PACK
from benchmarks.paper.statistics import Difference, paired_difference, target_means

SAME = (
    *("task", "arch", "data", "k", "method", "criterion", "adaptation", "budget", "block"),
    *("views", "width", "label_order", "alone"),
)
"""What runs that are taken together agree on."""


class DocumentsError(Exception):
    """A folder that no report can be made of."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of one experiment with several seeds.

    Attributes:
        documents: By rising seed.
    """

    documents: tuple[dict[str, Any], ...]

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - a document is JSON
        """What all runs have under a key of `SAME`."""
        return self.documents[0][key]

    @property
    def seeds(self) -> int:
        """How many runs."""
        return len(self.documents)

    @property
    def draws(self) -> int:
        """Draws of the samples, over all seeds."""
        return sum(int(document["draws"]) for document in self.documents)

    def mean(self, key: str) -> float | None:
        """The mean over seeds of a figure; None where some run has none."""
        values = [document.get(key) for document in self.documents]
        return None if None in values else float(np.mean(np.asarray(values, dtype=np.float64)))

    def deviation_over_targets(self) -> float:
        """The standard deviation of the accuracy over targets, seeds and draws averaged."""
        means = np.mean([target_means(correct) for correct in self._correct(PACK)], axis=0)
        return float(means.std(ddof=1))

    def difference(self, baseline: str) -> Difference | None:
        """Our packs less a baseline, paired over seeds, draws and examples; None if not run."""
        if any(baseline not in document["correct"] for document in self.documents):
            return None
        return paired_difference(self._correct(PACK), self._correct(baseline))

    def differences(self) -> dict[str, Difference]:
        """By baseline that every run has."""
        found = {name: self.difference(name) for name in BASELINE_NAMES}
        return {name: gap for name, gap in found.items() if gap is not None}

    def _correct(self, name: str) -> list[list[np.ndarray[Any, np.dtype[np.bool_]]]]:
        return [
            decode(document["correct"][name], document["test_examples"])
            for document in self.documents
        ]


def read_runs(folder: Path) -> list[Runs]:
    """Reads a folder of documents, markets left aside.

    Args:
        folder: Where runs have written theirs.

    Raises:
        DocumentsError: There is none.
    """
    found = [document for document in _documents(folder) if "market" not in document]
    if not found:
        raise DocumentsError(f"{folder} holds no document of a run of benchmarks.paper")
    return grouped(found)


def read_markets(folder: Path) -> list[dict[str, Any]]:
    """Reads the documents of `benchmarks.market_expansion` in a folder."""
    return [document for document in _documents(folder) if "market" in document]


def grouped(documents: Sequence[dict[str, Any]]) -> list[Runs]:
    """Takes runs together that differ in the seed alone, in a steady order."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for document in documents:
        key = json.dumps([document[name] for name in SAME])
        groups.setdefault(key, []).append(document)
    return [
        Runs(tuple(sorted(groups[key], key=lambda document: int(document["seed"]))))
        for key in sorted(groups)
    ]


def _documents(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and {"task", "correct"} <= set(document):
            found.append(document)
    return found
