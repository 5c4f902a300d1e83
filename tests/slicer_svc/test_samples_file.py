"""Files of samples that nobody has looked at yet."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy
from numpy.typing import NDArray

from slicer_svc.errors import SubmissionError
from slicer_svc.errors import SubmissionReason as R
from slicer_svc.samples_file import read_samples
from svckit.input_spec import Image, InputSpec
from svckit.samples import MAX_BYTES
from tests.helpers.submissions import blobs, npz

PICTURE = InputSpec("x", (1, 8, 8), "float32", Image(False, 0.0, 1.0))
GOOD = blobs(3, 4)


def read(tmp_path: Path, data: bytes, *specs: InputSpec) -> Any:
    path = tmp_path / "samples.npz"
    path.write_bytes(data)
    return read_samples(path, specs or [PICTURE])


def refusal(tmp_path: Path, data: bytes, *specs: InputSpec) -> SubmissionError:
    with pytest.raises(SubmissionError) as caught:
        read(tmp_path, data, *specs)
    assert caught.value.advice.endswith(".")
    return caught.value


def archive(
    members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED, comment: bytes = b""
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression, compresslevel=1) as target:
        target.comment = comment
        for name, data in members.items():
            target.writestr(name, data)
    return buffer.getvalue()


def array_file(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    npy.write_array(buffer, array)
    return buffer.getvalue()


def header_only(text: str, body: bytes = b"") -> bytes:
    """An npy file whose header says what it likes."""
    header = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def without(name: str) -> dict[str, NDArray[Any]]:
    return {key: array for key, array in GOOD.items() if key != name}


def test_samples_are_read_as_they_were_written(tmp_path: Path) -> None:
    samples = read(tmp_path, npz(GOOD))
    np.testing.assert_array_equal(samples.inputs["x"], GOOD["x"])
    np.testing.assert_array_equal(samples.labels, GOOD["labels"])


def test_compressed_samples_in_another_order_of_axes_are_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.asfortranarray(GOOD["x"]), labels=GOOD["labels"])
    np.testing.assert_array_equal(read(tmp_path, buffer.getvalue()).inputs["x"], GOOD["x"])


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return eval, ("(_ for _ in ()).throw(SystemExit('unpickled'))",)


def object_array() -> bytes:
    description = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    return header_only(description, pickle.dumps(Bomb()))


def encrypted() -> bytes:
    """An archive whose members say that they are encrypted."""
    data = bytearray(npz(GOOD))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(signature)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(signature, place + 4)
    return bytes(data)


def garbled() -> bytes:
    """A compressed array with wrong bytes in the middle."""
    data = bytearray(archive({"x.npy": array_file(GOOD["x"])}, zipfile.ZIP_DEFLATED))
    data[60:90] = b"\xff" * 30
    return bytes(data)


UNREADABLE: Mapping[str, bytes] = {
    "empty": b"",
    "no archive": b"label,pixel\n1,0\n",
    "a bare pickle": pickle.dumps(Bomb()),
    "an object array": archive({"x.npy": object_array()}),
    "a pickle as a member": archive({"x.npy": pickle.dumps(Bomb())}),
    "truncated": npz(GOOD)[:-40],
    "encrypted": encrypted(),
    "garbled": garbled(),
    "an uncommon compression": archive({"x.npy": array_file(GOOD["x"])}, zipfile.ZIP_BZIP2),
    "an unclosed header": archive({"x.npy": header_only("{'descr': '<f4', 'shape': (((")}),
    "a header that is no header": archive({"x.npy": header_only("__import__('os')")}),
    "a negative shape": archive(
        {"x.npy": header_only("{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 1), }")}
    ),
    "a shape of 5 GB": archive(
        {"x.npy": header_only("{'descr': '<f4', 'fortran_order': False, 'shape': (1250000000,), }")}
    ),
    "an array twice": archive({"x.npy": array_file(GOOD["x"]), "x": array_file(GOOD["x"])}),
    "too many arrays": archive({f"a{place}.npy": b"" for place in range(65)}),
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_archive_of_plain_arrays_is_unreadable(tmp_path: Path, data: bytes) -> None:
    assert refusal(tmp_path, data).reason == R.SAMPLES_UNREADABLE


def test_every_single_wrong_byte_is_read_or_refused_but_never_a_fault(tmp_path: Path) -> None:
    good = npz({"x": GOOD["x"][:1], "labels": GOOD["labels"][:1]})
    structure = [*range(130), *range(len(good) - 260, len(good))]
    for place in structure:
        for value in (0x00, 0xFF):
            # Any other exception would be a fault of the service.
            with suppress(SubmissionError):
                read(tmp_path, good[:place] + bytes([value]) + good[place + 1 :])


@cache
def bomb() -> bytes:
    zeros = header_only("{'descr': '|u1', 'fortran_order': False, 'shape': (300000000,), }")
    return archive({"x.npy": zeros + bytes(300_000_000)}, zipfile.ZIP_DEFLATED)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    data = bomb()
    assert len(data) < 2**21
    error = refusal(tmp_path, data)
    assert error.reason == R.SAMPLES_TOO_LARGE
    assert error.metadata["limit_bytes"] == str(MAX_BYTES)


def test_a_zip_bomb_whose_directory_lies_yields_no_more_than_it_declares(tmp_path: Path) -> None:
    data = bytearray(bomb())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.find(signature)
        data[place + offset : place + offset + 4] = struct.pack("<I", 1000)
    assert refusal(tmp_path, bytes(data)).reason == R.SAMPLES_UNREADABLE


def test_a_file_larger_than_all_samples_may_be_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(SubmissionError) as caught:
        read_samples(path, [PICTURE])
    assert caught.value.reason == R.SAMPLES_TOO_LARGE


MISMATCHED: Mapping[str, Mapping[str, NDArray[Any]]] = {
    "no labels": without("labels"),
    "no input": without("x"),
    "one array too many": {**GOOD, "y": GOOD["x"]},
    "labels of another type": {**GOOD, "labels": GOOD["labels"].astype(np.int32)},
    "labels of another order of bytes": {**GOOD, "labels": GOOD["labels"].astype(">i8")},
    "labels of two axes": {**GOOD, "labels": GOOD["labels"][:, None]},
    "fewer samples than labels": {**GOOD, "x": GOOD["x"][:-1]},
    "another shape": {**GOOD, "x": GOOD["x"].transpose(0, 2, 3, 1)},
    "another type": {**GOOD, "x": GOOD["x"].astype(np.float64)},
    "another order of bytes": {**GOOD, "x": GOOD["x"].astype(">f4")},
    "no sample": {name: array[:0] for name, array in GOOD.items()},
}


@pytest.mark.parametrize("arrays", MISMATCHED.values(), ids=MISMATCHED.keys())
def test_arrays_that_the_graph_does_not_take_are_a_mismatch(
    tmp_path: Path, arrays: Mapping[str, NDArray[Any]]
) -> None:
    error = refusal(tmp_path, npz(arrays))
    assert error.reason == R.SAMPLES_MISMATCH
    assert error.metadata["array"]


@pytest.mark.parametrize("left_out", ["x", "labels"])
def test_samples_and_labels_of_different_numbers_are_told_by_their_numbers(
    tmp_path: Path, left_out: str
) -> None:
    error = refusal(tmp_path, npz({**GOOD, left_out: GOOD[left_out][:-1]}))
    assert error.reason == R.SAMPLES_MISMATCH
    samples, labels = (11, 12) if left_out == "x" else (12, 11)
    assert f"{samples} samples" in error.message
    assert f"{labels} labels" in error.message
    assert error.metadata == {"array": "x", "samples": str(samples), "labels": str(labels)}
