"""Which samples of a pack are judged in which fold, by the rule that the slicer follows too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from packer_svc.fusion.errors import FusionError, FusionReason
from svckit.dealing import deal, sample_digests
from svckit.samples import read_checked

Labels = NDArray[np.int64]

FOLDS: Final = 5
"""How many folds there are."""


@dataclass(frozen=True, eq=False)
class Dealt:
    """The samples of a pack, in the order of its blocks, with their folds.

    Attributes:
        outputs: The place of each sample's class in the pack `(n,)`.
        digests: Of each sample.
        folds_of: All folds that a sample's bytes are in, over every class of every file.
    """

    outputs: Labels
    digests: Sequence[str]
    folds_of: Mapping[str, frozenset[int]]

    @classmethod
    def of(cls, fragments: Sequence[Mapping[str, Any]], seed: int) -> Self:
        """Deals the samples of a pack.

        Args:
            fragments: As of `pack_fragments`.
            seed: Of the dealing.
        """
        files: dict[str, tuple[Labels, list[str]]] = {}
        folds_of: dict[str, set[int]] = {}
        for path in dict.fromkeys(one["samples"] for one in fragments):
            inputs, found_labels = read_checked(path)
            labels = found_labels.astype(np.int64, copy=False)
            digests = sample_digests(inputs)
            files[path] = labels, digests
            dealt = deal(labels, digests, FOLDS, seed).tolist()
            for digest, fold in zip(digests, dealt, strict=True):
                folds_of.setdefault(digest, set()).add(fold)
        outputs: list[int] = []
        found: list[str] = []
        for path, source, output in dict.fromkeys(
            (one["samples"], one["class"], one["output"]) for one in fragments
        ):
            labels, digests = files[path]
            rows = np.flatnonzero(labels == source).tolist()
            found += [digests[row] for row in rows]
            outputs += [output] * len(rows)
        frozen = {digest: frozenset(folds) for digest, folds in folds_of.items()}
        return cls(np.array(outputs, dtype=np.int64), found, frozen)

    def kept(self, fold: int) -> Labels:
        """Places of the samples that the head of a fold is fitted on."""
        return self._places(fold not in self.folds_of[digest] for digest in self.digests)

    def judged(self, fold: int) -> Labels:
        """Places of the samples that a fold is judged by: each that nothing of it has seen, once.

        A sample that is in several files and there in several folds was seen in each of them.
        """
        first: dict[tuple[str, int], int] = {}
        for place, key in enumerate(zip(self.digests, self.outputs.tolist(), strict=True)):
            first.setdefault(key, place)
        alone = frozenset({fold})
        return self._places(
            self.folds_of[digest] == alone and first[digest, output] == place
            for place, (digest, output) in enumerate(
                zip(self.digests, self.outputs.tolist(), strict=True)
            )
        )

    def _places(self, chosen: Any) -> Labels:  # noqa: ANN401
        return np.flatnonzero(np.fromiter(chosen, dtype=np.bool_)).astype(np.int64)


def choose_folds(
    request: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Tells in which folds a pack can be judged, before anything is sliced.

    Args:
        request: ``fragments`` as of `pack_fragments`, ``labels`` of the pack, and ``seed``.
        report: Not told anything.

    Returns:
        ``folds``, the numbers of those in which something is judged; ``count``, of how many.

    Raises:
        FusionError: FIELD_INVALID, a class has too few samples.
    """
    del report
    dealt = Dealt.of(request["fragments"], request["seed"])
    judged = {fold: dealt.judged(fold) for fold in range(FOLDS)}
    used = [fold for fold, places in judged.items() if places.size]
    covered = {int(dealt.outputs[place]) for places in judged.values() for place in places}
    for output, label in enumerate(request["labels"]):
        left = all((dealt.outputs[dealt.kept(fold)] == output).any() for fold in used)
        if output not in covered or not left:
            raise _too_few(label)
    return {"folds": used, "count": FOLDS}


def _too_few(label: str) -> FusionError:
    return FusionError(
        FusionReason.FIELD_INVALID,
        f"The class {label!r} has too few different samples for any to be held out.",
        advice="Submit its model with at least two samples of it, or give evaluation samples.",
        metadata={"field": "pack.options.evaluation", "label": label},
    )
