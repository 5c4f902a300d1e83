"""The job that reassembles models, on files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxgraph.serialise import to_bytes
from packer_svc.fusion.original_times import OriginalTimes
from packer_svc.jobs.reassembly import reassemble_models
from packer_svc.reassembly.cutting import CutModel
from svckit.input_spec import Image, InputSpec
from tests.packer_svc.reassembly.networks import CLASSES, SIDE, plain, residual, samples

INPUTS = [InputSpec("image", (3, SIDE, SIDE), "float32", Image(False, -9.0, 9.0)).to_json()]


def asked(folder: Path, models: list[CutModel], **more: Any) -> dict[str, Any]:
    """What the job is told to make one network of some models' blocks."""
    arrays, labels = samples(36, 1)
    np.savez(folder / "samples.npz", image=arrays["image"], labels=labels)
    for model in models:
        (folder / model.name).write_bytes(to_bytes(model.graph))
    told = [
        {
            "name": f"models/{model.name}",
            "graph": str(folder / model.name),
            "samples": str(folder / "samples.npz"),
            "graph_digest": digest_of(model),
            "licence": "",
        }
        for model in models
    ]
    part = {"fragment": "models/plain", "label": "", "graph_digest": "", "licence": ""}
    classes = [
        {
            "samples": str(folder / "samples.npz"),
            "class": number,
            "output": number,
            "inputs": INPUTS,
            "part": {**part, "samples_digest": "sha256:0"},
        }
        for number in range(CLASSES)
    ]
    sources = {"models": told, "named": True, "left_out": [], "left_out_count": 0}
    (folder / "features").mkdir()
    return {
        "folder": str(folder),
        "features": str(folder / "features"),
        "sources": sources,
        "classes": classes,
        "inputs": INPUTS,
        "budgets": {},
        "blocks": 3,
        "steps": 0,
        "seed": 0,
        **more,
    }


def digest_of(model: CutModel) -> str:
    return f"sha256:{model.name}"


def test_all_classes_of_all_models_may_be_wanted(tmp_path: Path) -> None:
    answer = reassemble_models(asked(tmp_path, [plain(4, 0), residual(4, 0)]), lambda _: None)
    assert answer["reassembly"]["gap"] == 0.0


def test_models_that_were_timed_before_are_not_timed_again(tmp_path: Path) -> None:
    models = [plain(4, 0), residual(4, 0)]
    request = asked(tmp_path, models, budgets={"seconds": 5.0})
    for model in models:
        times = {"single_seconds": 10.0, "batch_seconds": 10.0}
        OriginalTimes(tmp_path / "features").keep(digest_of(model), times)
    answer = reassemble_models(request, lambda _: None)
    assert answer["least"]["seconds"] == pytest.approx(10.0, rel=0.7)


def test_models_that_were_not_timed_are_timed_for_the_next_to_ask(tmp_path: Path) -> None:
    models = [plain(4, 0), residual(4, 0)]
    answer = reassemble_models(asked(tmp_path, models, budgets={"seconds": 5.0}), lambda _: None)
    assert len(answer["reassembly"]["blocks"]) == 3
    kept = OriginalTimes(tmp_path / "features")
    assert all(kept.kept(digest_of(model)) is not None for model in models)
