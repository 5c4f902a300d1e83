"""The walk on made data where it cannot get through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from marketctl.made_models import made_model
from tests.helpers.command_line import marketctl
from tests.helpers.slicer import slicer_process


def test_a_walk_that_breaks_off_says_where_and_takes_its_models_away(tmp_path: Path) -> None:
    with slicer_process(tmp_path) as process:
        slicer = process.address
        # A slicer that is taken for the packer refuses at once; nobody would be waited for.
        services = ("--slicer", slicer, "--packer", slicer, "--timeout", "90")
        ended = marketctl(*services, "selftest")
        left = marketctl(*services, "-o", "json", "models", "list")

    assert ended.code == 1
    assert ended.out.splitlines()[-1].startswith("slice b")
    assert "METHOD_NOT_FOUND" in ended.err
    assert "Something of selftest-" in ended.err
    assert left.data == []


def test_a_made_model_knows_its_unseen_points() -> None:
    model = made_model("a", 3)
    session = onnxruntime.InferenceSession(model.graph, providers=["CPUExecutionProvider"])
    for place, points in enumerate(model.unseen):
        (scores,) = session.run(None, {model.input: points})
        assert np.mean(scores.argmax(1) == place) >= 0.95
