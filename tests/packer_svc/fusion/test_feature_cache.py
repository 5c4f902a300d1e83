from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from packer_svc.feature_folder import trim
from packer_svc.fusion.feature_cache import FeatureCache
from packer_svc.fusion.features import Fragment, FragmentFeatures
from packer_svc.fusion.samples import PackSamples, SampleBlock
from tests.helpers.fragments import CONVOLUTION, POINTWISE, fragment, samples


def _blocks() -> list[SampleBlock]:
    images, labels = samples(3, 4)
    return [SampleBlock({"image": images[labels == c]}, c, f"sha256:a {c}") for c in range(3)]


def _same(a: FragmentFeatures, b: FragmentFeatures) -> bool:
    return bool(np.array_equal(a.features, b.features) and np.array_equal(a.scores, b.scores))


def test_what_was_asked_before_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks, graph = _blocks(), fragment(CONVOLUTION)
    first = FeatureCache(tmp_path).run(Fragment(graph), blocks[:2])
    runs: list[int] = []
    run = Fragment.run

    def counted(self: Fragment, inputs: dict[str, np.ndarray]) -> FragmentFeatures:
        runs.append(len(inputs["image"]))
        return run(self, inputs)

    monkeypatch.setattr(Fragment, "run", counted)
    more = FeatureCache(tmp_path).run(Fragment(graph), blocks)
    assert runs == [4]
    assert _same(more.rows(np.arange(8)), first)
    FeatureCache(tmp_path).run(Fragment(fragment(POINTWISE)), blocks[:1])
    assert runs == [4, 4]


def test_kept_and_computed_outputs_are_the_same_bytes(tmp_path: Path) -> None:
    whole = PackSamples.of(_blocks())
    cache = FeatureCache(tmp_path)
    assert _same(
        cache.run(Fragment(fragment(CONVOLUTION)), whole.blocks),
        cache.run(Fragment(fragment(CONVOLUTION)), whole.blocks),
    )
    assert _same(
        FeatureCache(None).run(Fragment(fragment(CONVOLUTION)), whole.blocks),
        cache.run(Fragment(fragment(CONVOLUTION)), whole.blocks),
    )
    assert whole.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 and no more", None])
def test_a_damaged_file_is_computed_again(tmp_path: Path, damage: bytes | None) -> None:
    blocks, loaded = _blocks(), Fragment(fragment(CONVOLUTION))
    first = FeatureCache(tmp_path).run(loaded, blocks)
    for path in tmp_path.iterdir():
        if damage is None:
            np.savez(path, features=np.zeros((9, 2), np.float32), scores=np.zeros(3))
        else:
            path.write_bytes(damage)
    assert _same(FeatureCache(tmp_path).run(loaded, blocks), first)
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz"}


def test_a_folder_that_cannot_be_written_costs_time_alone(tmp_path: Path) -> None:
    blocks, loaded = _blocks(), Fragment(fragment(CONVOLUTION))
    gone = tmp_path / "gone"
    assert _same(FeatureCache(gone).run(loaded, blocks), FeatureCache(None).run(loaded, blocks))


def test_the_longest_unused_is_deleted_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new.npz", "old.npz", "left.partial")):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1_000 - age, 1_000 - age))
    trim(tmp_path, 1_000)
    assert len(list(tmp_path.iterdir())) == 3
    trim(tmp_path, 150)
    assert [path.name for path in tmp_path.iterdir()] == ["new.npz"]
