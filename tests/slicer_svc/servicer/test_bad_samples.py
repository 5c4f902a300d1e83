"""Samples, labels and input semantics that do not fit are refused, and nothing of them stays."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from sliceandpack.slicer.v1.input_spec_pb2 import (
    ELEMENT_TYPE_UINT8,
    IMAGE_LAYOUT_NHWC,
    InputSpec,
)
from sliceandpack.slicer.v1.models_pb2 import GetModelRequest

from tests.helpers.processes import ServiceProcess
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import SlicerClient, scratch_of
from tests.helpers.submissions import MLP, Arrays, Submission, blobs, labels_of, npz, submission

GOOD = submission(MLP)
ARRAYS = blobs(3, 8)


def samples(**arrays: object) -> Submission:
    changed: Arrays = {**ARRAYS, **{name: np.asarray(value) for name, value in arrays.items()}}
    return replace(GOOD, samples=npz(changed))


def with_nan() -> Submission:
    x = ARRAYS["x"].copy()
    x[0] = np.nan
    return samples(x=x)


def with_pickle() -> Submission:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", pickle.dumps([1, 2, 3]))
    return replace(GOOD, samples=buffer.getvalue())


def bomb() -> Submission:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("x.npy", bytes(300_000_000))
    return replace(GOOD, samples=buffer.getvalue())


def declared(**changes: object) -> Submission:
    spec = InputSpec()
    spec.CopyFrom(GOOD.inputs[0])
    for name, value in changes.items():
        if name == "shape":
            spec.shape.extend(value)  # type: ignore[arg-type]
        else:
            setattr(spec, name, value)
    return replace(GOOD, inputs=[spec])


def with_means(count: int) -> Submission:
    sent = declared()
    sent.inputs[0].image.mean.extend([0.0] * count)
    return sent


def other_layout() -> Submission:
    # (1, 8, 8) read as channels last has 8 channels, not 1.
    sent = with_means(1)
    sent.inputs[0].image.layout = IMAGE_LAYOUT_NHWC
    return sent


CASES: Mapping[str, tuple[Submission, str]] = {
    "fewer labels than outputs": (replace(GOOD, labels=labels_of(2)), "LABELS_MISMATCH"),
    "more labels than outputs": (replace(GOOD, labels=labels_of(4)), "LABELS_MISMATCH"),
    "another shape": (samples(x=ARRAYS["x"][:, :, :4]), "SAMPLES_MISMATCH"),
    "another type": (samples(x=ARRAYS["x"].astype(np.float64)), "SAMPLES_MISMATCH"),
    "out of range": (samples(x=ARRAYS["x"] * 255), "SAMPLES_OUT_OF_RANGE"),
    "of another scale": (samples(x=ARRAYS["x"] / 255), "SAMPLES_OUT_OF_RANGE"),
    "NaN": (with_nan(), "SAMPLES_OUT_OF_RANGE"),
    "a class without a sample": (
        samples(labels=np.minimum(ARRAYS["labels"], 1)),
        "SAMPLES_CLASS_MISSING",
    ),
    "fewer samples than labels": (samples(x=ARRAYS["x"][:-1]), "SAMPLES_MISMATCH"),
    "a label of no class": (samples(labels=ARRAYS["labels"] + 1), "SAMPLES_MISMATCH"),
    "no sample": (samples(x=ARRAYS["x"][:0], labels=ARRAYS["labels"][:0]), "SAMPLES_MISMATCH"),
    "a pickle": (with_pickle(), "SAMPLES_UNREADABLE"),
    "no archive": (replace(GOOD, samples=b"x,label"), "SAMPLES_UNREADABLE"),
    "a zip bomb": (bomb(), "SAMPLES_TOO_LARGE"),
    "at chance": (samples(labels=np.roll(ARRAYS["labels"], 1)), "MODEL_AT_CHANCE"),
    "an input of another name": (declared(name="pixels"), "INPUT_SEMANTICS_MISMATCH"),
    "an input of another shape": (declared(shape=[3, 8, 8]), "INPUT_SEMANTICS_MISMATCH"),
    "an input of another type": (
        declared(element_type=ELEMENT_TYPE_UINT8),
        "INPUT_SEMANTICS_MISMATCH",
    ),
    "means of too many channels": (with_means(3), "INPUT_SEMANTICS_MISMATCH"),
    "another layout": (other_layout(), "INPUT_SEMANTICS_MISMATCH"),
}


@pytest.mark.parametrize(("sent", "reason"), CASES.values(), ids=CASES.keys())
async def test_what_does_not_fit_the_graph_is_refused_and_nothing_of_it_stays(
    slicer: SlicerClient, slicer_server: ServiceProcess, sent: Submission, reason: str
) -> None:
    error = await refusal_of(slicer.submit(sent, "bad-samples"))
    assert facts(error) == ("INVALID_ARGUMENT", reason)
    again = await refusal_of(slicer.call("GetModel", GetModelRequest(name="models/bad-samples")))
    assert facts(again) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert scratch_of(slicer_server) == []
    assert await slicer.is_serving()


async def test_a_refusal_at_chance_tells_its_figures(slicer: SlicerClient) -> None:
    error = await refusal_of(slicer.submit(CASES["at chance"][0]))
    assert error.metadata["samples"] == "24"
    assert int(error.metadata["correct"]) < 8
    assert float(error.metadata["p_value"]) >= 0.01
    assert f"{error.metadata['correct']} of 24" in error.message


async def test_a_class_without_a_sample_is_told_by_its_label(slicer: SlicerClient) -> None:
    error = await refusal_of(slicer.submit(CASES["a class without a sample"][0]))
    assert error.metadata["label"] == "blob-2"
    assert "'blob-2'" in error.message
