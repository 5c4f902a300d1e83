"""TREC and SST-5 with a handful of sentences whose words tell their class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WORDS_OF_CLASS = 6
OTHER_WORDS = 20


def write_tiny_texts(folder: Path, train: int, test: int) -> None:
    """Writes `trec6.tsv` and `sst5.tsv` with `train` and `test` sentences a class."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, classes in (("trec6", 6), ("sst5", 5)):
        random = np.random.default_rng(classes)
        rows = ["split\tlabel\ttext"]
        for split, count in (("train", train), ("test", test)):
            rows += [
                f"{split}\t{label}\t{_sentence(label, random)}"
                for _ in range(count)
                for label in range(classes)
            ]
        (folder / f"{name}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _sentence(label: int, random: np.random.Generator) -> str:
    own = [f"{_letters(label)}{_letters(place)}" for place in random.integers(0, WORDS_OF_CLASS, 3)]
    others = [f"z{_letters(place)}" for place in random.integers(0, OTHER_WORDS, 4)]
    return " ".join(random.permutation(own + others))


def _letters(number: int) -> str:
    return chr(ord("a") + int(number))
