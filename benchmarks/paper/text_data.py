"""TREC and SST-5 from the files that they are usually found in."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.images import DataMissingError
from benchmarks.paper.networks import PADDING

UNKNOWN = 1
"""The token of a word that training data did not have."""

TREC_NAMES = ("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM")
SST_NAMES = ("very negative", "negative", "neutral", "positive", "very positive")

Rows = list[tuple[int, str]]


@dataclass(frozen=True, eq=False)
class LabelledSentences:
    """Sentences with their classes.

    Attributes:
        words: The words of each sentence, lower-cased.
        labels: int64 `(n,)`.
    """

    words: tuple[tuple[str, ...], ...]
    labels: NDArray[np.int64]

    def of(self, classes: tuple[int, ...]) -> LabelledSentences:
        """The sentences of some classes, labelled by their place in `classes`, in their order."""
        places = [place for place, label in enumerate(self.labels) if int(label) in classes]
        labels = [classes.index(int(self.labels[place])) for place in places]
        return LabelledSentences(
            tuple(self.words[place] for place in places), np.asarray(labels, dtype=np.int64)
        )


@dataclass(frozen=True, eq=False)
class TextSet:
    """A data set with its official split.

    Attributes:
        name: What it is called in results.
        train: Training sentences.
        test: Test sentences.
        names: What the classes are called, by label.
        vocabulary: Number of each word of the training sentences, from 2 on.
        length: Tokens of a sentence, longer ones are cut.
    """

    name: str
    train: LabelledSentences
    test: LabelledSentences
    names: tuple[str, ...]
    vocabulary: dict[str, int]
    length: int

    def network_input(self, sentences: LabelledSentences) -> NDArray[np.int64]:
        """Tokens int64 `(n, length)`, filled up with the padding at the end."""
        tokens = np.full((len(sentences.words), self.length), PADDING, dtype=np.int64)
        for row, words in zip(tokens, sentences.words, strict=True):
            known = [self.vocabulary.get(word, UNKNOWN) for word in words[: self.length]]
            row[: len(known)] = known
        return tokens


def read_trec(folder: Path) -> TextSet:
    """Reads TREC's six classes of questions.

    Args:
        folder: Holds `train_5500.label` and `TREC_10.label` (Li and Roth, 2002), or `trec6.tsv`
            with the columns split, label and text.

    Raises:
        DataMissingError: Neither is there.
    """
    if (folder / "train_5500.label").exists():
        train, test = (_label_file(folder / name) for name in ("train_5500.label", "TREC_10.label"))
    else:
        train, test = _tsv(folder / "trec6.tsv", "TREC", _question_words)
    return _text_set("TREC", train, test, TREC_NAMES)


def read_sst5(folder: Path) -> TextSet:
    """Reads the Stanford Sentiment Treebank with five classes; the dev part is not used.

    Args:
        folder: Holds `train.txt` and `test.txt` as trees (Socher et al., 2013), or `sst5.tsv`
            with the columns split, label and text.

    Raises:
        DataMissingError: Neither is there.
    """
    if (folder / "train.txt").exists():
        train, test = (_tree_file(folder / name) for name in ("train.txt", "test.txt"))
    else:
        train, test = _tsv(folder / "sst5.tsv", "SST-5", _plain_words)
    return _text_set("SST-5", train, test, SST_NAMES)


def _text_set(
    name: str, train: LabelledSentences, test: LabelledSentences, names: tuple[str, ...]
) -> TextSet:
    counts = Counter(word for words in train.words for word in words)
    vocabulary = {word: number for number, (word, _) in enumerate(counts.most_common(), start=2)}
    longest = max(len(words) for words in train.words)
    return TextSet(name, train, test, names, vocabulary, longest)


def _tsv(
    path: Path, name: str, split: Callable[[str], Iterable[str]]
) -> tuple[LabelledSentences, LabelledSentences]:
    if not path.exists():
        raise DataMissingError(
            f"{path.parent} holds no {name}: put the official files or {path.name} there "
            "(benchmarks/README.md says where they come from)."
        )
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    train, test = (
        _sentences(
            [(int(row["label"]), row["text"]) for row in rows if row["split"] == part], split
        )
        for part in ("train", "test")
    )
    return train, test


def _label_file(path: Path) -> LabelledSentences:
    """Lines such as `DESC:manner How did serfdom develop ?`."""
    rows: Rows = []
    for line in path.read_text(encoding="latin-1").splitlines():
        kind, _, text = line.partition(" ")
        rows.append((TREC_NAMES.index(kind.partition(":")[0]), text))
    return _sentences(rows, _question_words)


def _tree_file(path: Path) -> LabelledSentences:
    """Lines such as `(3 (2 It) (4 works))`: the root's number is the class."""
    rows = [
        (int(line[1]), " ".join(re.findall(r"\(\d ([^()]+)\)", line)))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line
    ]
    return _sentences(rows, _plain_words)


def _sentences(rows: Rows, split: Callable[[str], Iterable[str]]) -> LabelledSentences:
    words = tuple(tuple(split(text.lower())) for _, text in rows)
    return LabelledSentences(words, np.asarray([label for label, _ in rows], dtype=np.int64))


def _plain_words(text: str) -> list[str]:
    return text.split()


def _question_words(text: str) -> list[str]:
    """Words, numbers and signs apart."""
    return re.findall(r"[a-z]+|\d+|[^\sa-z\d]", text)
