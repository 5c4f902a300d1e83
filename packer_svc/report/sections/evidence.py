"""On what an accuracy was measured: each by the name that it deserves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Counts = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Evidence:
    """One accuracy of a pack.

    Attributes:
        title: On what it was measured.
        short: The same in a few words.
        meaning: What may be concluded from it.
        accuracy: In [0, 1].
        samples: How many were named.
        counts: Which classes were taken for which, rows are the truth; None if that is not known.
        error_upper_bound: One-sided 95 %; None if it was not computed.
    """

    title: str
    short: str
    meaning: str
    accuracy: float
    samples: int
    counts: Counts | None = None
    error_upper_bound: float | None = None


_NAMES = {
    "evaluation_samples": (
        "Evaluation samples",
        "on evaluation samples",
        "Samples that neither the slicing nor the head has seen.",
    ),
    "sliced_anew": (
        "Cross-validated, sliced anew",
        "cross-validated, sliced anew in every fold",
        "In every fold fragments and head were made again without the samples that they are then "
        "asked about.",
    ),
    "head_alone": (
        "Head alone, cross-validated",
        "head alone, cross-validated: optimistic",
        "The head was fitted again without the samples that it is then asked about, but the "
        "slicing has seen them all: optimistic.",
    ),
    "in_sample": (
        "In-sample",
        "in-sample: says little",
        "The very samples that the pack was made from: says that the head fits them, and little "
        "of others.",
    ),
}


def all_evidence(proof: Mapping[str, Any]) -> list[Evidence]:
    """All accuracies of a proof, the most telling one first."""
    found = []
    given = proof.get("evaluation")
    if given:
        found.append(_evaluated(given))
    confusion = proof.get("confusion") or {}
    counts = confusion.get("counts")
    validated = proof.get("cross_validation")
    own = counts if confusion.get("kind") == "in_sample" else None
    if validated and not (given and given["kind"] == "head_alone"):
        seen = counts if confusion.get("kind") == "head_alone" else None
        found.append(_of("head_alone", validated["accuracy"], _samples(seen), seen))
    found.append(_of("in_sample", proof["in_sample_accuracy"], _samples(counts), own))
    return found


def best(proof: Mapping[str, Any]) -> Evidence:
    """The most telling accuracy of a proof."""
    return all_evidence(proof)[0]


def _of(kind: str, accuracy: float, samples: int, counts: Counts | None) -> Evidence:
    return Evidence(*_NAMES[kind], accuracy, samples, counts)


def _evaluated(given: Mapping[str, Any]) -> Evidence:
    title, short, meaning = _NAMES.get(given["kind"], (str(given["kind"]), str(given["kind"]), ""))
    if given.get("optimistic") and "optimistic" not in meaning:
        meaning = f"{meaning} Optimistic."
    return Evidence(
        title,
        short,
        meaning,
        given["accuracy"],
        given["samples"],
        given.get("confusion"),
        given.get("error_upper_bound"),
    )


def _samples(counts: Counts | None) -> int:
    return sum(sum(row) for row in counts or ())
