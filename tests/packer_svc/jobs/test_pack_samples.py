"""The samples on which the fragments of a pack are joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.jobs.class_samples import ClassReader, gather_samples
from svckit.input_spec import InputSpec, Tensor

INPUTS = (InputSpec("x", (), "float32", Tensor()),)


def fragment(samples: Path, source_class: int, output: int) -> dict[str, Any]:
    """A fragment of a class, as the job is told of it."""
    part = {
        "fragment": f"models/m/fragments/f{output}",
        "label": f"label {output}",
        "graph_digest": "",
        "samples_digest": "",
        "licence": "",
    }
    inputs = [one.to_json() for one in INPUTS]
    told = {"samples": str(samples), "class": source_class, "output": output, "inputs": inputs}
    return told | {"part": part}


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Three samples of class 0 and two of class 1."""
    path = tmp_path / "samples.npz"
    np.savez(path, x=np.arange(5, dtype=np.float32), labels=np.array([0, 1, 0, 1, 0]))
    return path


def test_a_class_is_read_once_for_each_of_its_outputs(samples: Path) -> None:
    asked = [fragment(samples, 0, 0), fragment(samples, 0, 0), fragment(samples, 1, 1)]
    once = gather_samples(asked, ClassReader(INPUTS))
    twice = gather_samples([*asked, fragment(samples, 0, 2)], ClassReader(INPUTS))

    assert once.labels.tolist() == [0, 0, 0, 1, 1]
    assert once.inputs["x"].tolist() == [0, 2, 4, 1, 3]
    assert twice.labels.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert twice.inputs["x"].tolist() == [0, 2, 4, 1, 3, 0, 2, 4]


def test_a_class_without_samples_is_told_by_its_label(samples: Path) -> None:
    with pytest.raises(FusionError) as refused:
        gather_samples([fragment(samples, 0, 0), fragment(samples, 7, 1)], ClassReader(INPUTS))

    assert refused.value.reason is FusionReason.SAMPLES_CLASS_MISSING
    assert "models/m/fragments/f1" in refused.value.message
    assert refused.value.metadata["label"] == "label 1"


def test_a_file_is_read_once_for_all_its_classes(samples: Path) -> None:
    reader = ClassReader(INPUTS)
    reader.block(fragment(samples, 0, 0), 0, 0)
    samples.unlink()

    assert reader.block(fragment(samples, 1, 1), 1, 1).inputs["x"].tolist() == [1, 3]


def test_files_beyond_what_is_held_are_read_again(samples: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, x=np.zeros(2, dtype=np.float32), labels=np.array([0, 1]))
    # The one takes 60 bytes, the other 24.
    reader = ClassReader(INPUTS, held_bytes=60)
    for path in (samples, other):
        reader.block(fragment(path, 0, 0), 0, 0)
        path.unlink()

    assert len(reader.block(fragment(other, 1, 1), 1, 1)) == 1
    with pytest.raises(FileNotFoundError):
        reader.block(fragment(samples, 0, 0), 0, 0)
