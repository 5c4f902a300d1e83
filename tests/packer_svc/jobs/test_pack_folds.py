"""In which folds the samples of a pack are judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.jobs.class_samples import ClassReader, gather_samples
from packer_svc.jobs.folds import FOLDS, Dealt, choose_folds
from svckit.dealing import held_out, sample_digests
from svckit.folds import Fold
from svckit.input_spec import InputSpec, Tensor

Array = NDArray[np.float32]
INPUTS = (InputSpec("x", (4,), "float32", Tensor()),)


def drawn(count: int, seed: int) -> Array:
    return np.random.default_rng(seed).random((count, 4)).astype(np.float32)


def file_of(path: Path, x: Array, labels: list[int]) -> str:
    np.savez(path, x=x, labels=np.array(labels, dtype=np.int64))
    return str(path)


def fragment(samples: str, source_class: int, output: int) -> dict[str, Any]:
    part = {
        "fragment": f"models/m/fragments/f{output}",
        "label": f"label {output}",
        "graph_digest": "",
        "samples_digest": samples,
        "licence": "",
    }
    inputs = [one.to_json() for one in INPUTS]
    told = {"samples": samples, "class": source_class, "output": output, "inputs": inputs}
    return told | {"part": part}


def chosen(*fragments: dict[str, Any]) -> list[int]:
    labels = [f"label {output}" for output in range(1 + max(one["output"] for one in fragments))]
    request = {"fragments": list(fragments), "labels": labels, "seed": 0}
    folds: list[int] = choose_folds(request, lambda _: None)["folds"]
    return folds


def test_every_sample_is_judged_once_and_by_what_has_not_seen_it(tmp_path: Path) -> None:
    first = file_of(tmp_path / "a.npz", drawn(30, 0), [0, 1, 2] * 10)
    second = file_of(tmp_path / "b.npz", drawn(16, 1), [0, 1] * 8)
    fragments = [fragment(first, 2, 0), fragment(second, 0, 1), fragment(first, 0, 2)]
    dealt, samples = Dealt.of(fragments, seed=3), gather_samples(fragments, ClassReader(INPUTS))
    judged = [dealt.judged(fold) for fold in range(FOLDS)]

    assert dealt.outputs.tolist() == samples.labels.tolist()
    assert sorted(np.concatenate(judged).tolist()) == list(range(len(samples.labels)))
    for fold, places in enumerate(judged):
        assert not set(places.tolist()) & set(dealt.kept(fold).tolist())
        assert len(places) + len(dealt.kept(fold)) == len(samples.labels)


def test_the_slicer_holds_out_the_same(tmp_path: Path) -> None:
    x, labels = drawn(30, 0), np.array([0, 1, 2] * 10)
    path = file_of(tmp_path / "a.npz", x, labels.tolist())
    fragments = [fragment(path, 0, 0), fragment(path, 1, 1)]
    dealt, samples = Dealt.of(fragments, seed=7), gather_samples(fragments, ClassReader(INPUTS))
    for fold in range(FOLDS):
        unseen = held_out(labels, sample_digests({"x": x}), Fold(fold, FOLDS, 7))
        expected = {tuple(row) for row in x[unseen & (labels != 2)].tolist()}
        judged = samples.inputs["x"][dealt.judged(fold)]
        assert {tuple(row) for row in judged.tolist()} == expected


def test_equal_samples_are_judged_once(tmp_path: Path) -> None:
    x = drawn(20, 0)
    x[[2, 4, 6]] = x[0]
    path = file_of(tmp_path / "a.npz", x, [0, 1] * 10)
    dealt = Dealt.of([fragment(path, 0, 0), fragment(path, 1, 1)], seed=0)
    judged = np.concatenate([dealt.judged(fold) for fold in range(FOLDS)])
    assert len(judged) == 17


def test_a_sample_of_two_files_and_two_folds_was_seen_and_is_not_judged(tmp_path: Path) -> None:
    x, y = drawn(20, 0), drawn(20, 1)
    # The only sample of its class there: that model sees it in every fold.
    y[19] = x[0]
    first = file_of(tmp_path / "a.npz", x, [0, 1] * 10)
    second = file_of(tmp_path / "b.npz", y, [0] * 19 + [1])
    fragments = [fragment(first, 0, 0), fragment(first, 1, 1), fragment(second, 0, 2)]
    dealt = Dealt.of(fragments, seed=0)
    judged = np.concatenate([dealt.judged(fold) for fold in range(FOLDS)])
    assert sorted(judged.tolist()) == list(range(1, 39))


def test_a_class_that_two_models_were_sent_with_alike_is_judged_in_full(tmp_path: Path) -> None:
    x = drawn(10, 0)
    first = file_of(tmp_path / "a.npz", np.concatenate([x, drawn(10, 1)]), [0] * 10 + [1] * 10)
    second = file_of(tmp_path / "b.npz", np.concatenate([drawn(5, 2), x]), [0] * 5 + [1] * 10)
    fragments = [fragment(first, 0, 0), fragment(second, 1, 0), fragment(first, 1, 1)]
    dealt = Dealt.of(fragments, seed=0)
    judged = np.concatenate([dealt.judged(fold) for fold in range(FOLDS)])
    assert len(judged) == 20


def test_two_samples_a_class_are_enough(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a.npz", drawn(4, 0), [0, 1] * 2)
    folds = chosen(fragment(path, 0, 0), fragment(path, 1, 1))
    assert 2 <= len(folds) <= 4


@pytest.mark.parametrize("copies", [1, 3])
def test_a_class_of_one_sample_is_refused_however_often_it_is_there(
    tmp_path: Path, copies: int
) -> None:
    x = np.concatenate([drawn(4, 0), np.repeat(drawn(1, 1), copies, axis=0)])
    path = file_of(tmp_path / "a.npz", x, [0] * 4 + [1] * copies)
    with pytest.raises(FusionError) as refused:
        chosen(fragment(path, 0, 0), fragment(path, 1, 1))
    assert refused.value.reason is FusionReason.FIELD_INVALID
    assert "'label 1'" in refused.value.message
    assert refused.value.metadata["field"] == "pack.options.evaluation"
