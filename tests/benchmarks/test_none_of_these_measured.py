from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.none_of_these.__main__ import main
from benchmarks.none_of_these.rivals import rivals
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.none_of_these import NoneSamples
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.roc import roc
from tests.helpers.fragments import gaussian_features
from tests.helpers.tiny_pictures import write_tiny_cifar10, write_tiny_cifar100


def test_every_rival_is_high_outside_and_all_agree_on_what_is_easy() -> None:
    features, labels = gaussian_features(6, 12, (24, 16, 20))
    own = np.flatnonzero(labels < 3)
    head, _ = fit_head([part.rows(own) for part in features], labels[own], 3, HeadSpec())
    found = rivals(head, NoneSamples(features, labels, 3, [[0], [1], [2]]))

    assert set(found) == {*("largest probability", "energy", "mahalanobis", "outside as a class")}
    for score in found.values():
        values = score(features)
        assert roc(values[labels < 3], values[labels >= 3]).auc > 0.7


@pytest.mark.slow
def test_packs_of_tiny_pictures_are_measured(tmp_path: Path) -> None:
    write_tiny_cifar10(tmp_path, train=6, test=4)
    write_tiny_cifar100(tmp_path, train=2, test=1)
    given = [
        *("--data", str(tmp_path), "--out", str(tmp_path / "out"), "--width", "0.0625"),
        *("--k", "4", "--budget-macs", "0.5", "--block", "1", "--threads", "1"),
    ]
    assert main(given) == 0
    found = json.loads((tmp_path / "out" / "none_of_these.json").read_text())
    assert set(found["targets"]) == {
        f"T1 {target}" for target in ("0,3,6", "1,4,7", "2,5,8", "0,1,2", "3,4,5", "6,7,8")
    }
    one, whole = found["targets"]["T1 0,3,6"], found["targets"]["T1 0,1,2"]
    assert one["origin"] == "other classes of the market's models"
    assert whole["origin"] == "the pack's own classes, one left out at a time"
    assert set(one["auc"]) == {
        *("other classes of its models", "classes that no model knows", "another data set")
    }
    assert "outside as a class" not in whole["rival_auc"]
