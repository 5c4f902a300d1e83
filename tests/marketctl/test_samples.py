from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sliceandpack.slicer.v1 import input_spec_pb2 as pb

from marketctl.pictures import PictureReader
from marketctl.samples import Sample, read_samples
from svckit.errors import InvalidArgument


def image_input(shape: list[int], **changes: Any) -> pb.InputSpec:
    semantics = {"value_range": pb.ValueRange(minimum=0, maximum=1)} | changes
    return pb.InputSpec(
        name="image",
        shape=shape,
        element_type=pb.ELEMENT_TYPE_FLOAT32,
        image=pb.ImageSemantics(**semantics),
    )


GREY = image_input([1, 4, 4])


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.unread: list[Exception] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def unreadable(self, error: InvalidArgument | OSError) -> None:
        self.unread.append(error)


def read(path: Path, spec: pb.InputSpec = GREY, heard: Heard | None = None) -> list[Sample]:
    return list(read_samples([path], [spec], heard or Heard()))


def saved(path: Path, pixels: Any, mode: str | None = None) -> Path:
    Image.fromarray(np.asarray(pixels), mode).save(path)
    return path


@pytest.mark.parametrize("data", [b"", b"junk", b"\x93NUMPY\x01\x00"])
def test_what_is_no_npz_is_called_so_and_no_pickle(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "samples.npz"
    path.write_bytes(data)
    with pytest.raises(InvalidArgument, match="it is no zip archive") as caught:
        read(path)
    assert "pickle" not in str(caught.value)


def test_a_grey_picture_becomes_values_of_the_declared_range(tmp_path: Path) -> None:
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4) * 17
    array = PictureReader([GREY]).read(saved(tmp_path / "p.png", pixels))
    assert array.dtype == np.float32
    np.testing.assert_allclose(array[0], pixels / 255, atol=1e-6)


def test_a_colour_picture_is_scaled_and_normalised_per_channel(tmp_path: Path) -> None:
    pixels = np.full((9, 5, 3), (255, 0, 51), np.uint8)
    spec = image_input(
        [3, 4, 4],
        value_range=pb.ValueRange(minimum=0, maximum=255),
        mean=[100, 0, 1],
        standard_deviation=[50, 1, 2],
    )
    array = PictureReader([spec]).read(saved(tmp_path / "p.png", pixels))
    assert array.shape == (3, 4, 4)
    np.testing.assert_allclose(array[:, 2, 2], [(255 - 100) / 50, 0, (51 - 1) / 2], atol=1e-5)


def test_channels_come_last_where_the_model_has_them_so(tmp_path: Path) -> None:
    pixels = np.full((4, 6, 3), (255, 0, 51), np.uint8)
    spec = image_input([4, 6, 3], layout=pb.IMAGE_LAYOUT_NHWC)
    array = PictureReader([spec]).read(saved(tmp_path / "p.png", pixels))
    assert array.shape == (4, 6, 3)
    np.testing.assert_allclose(array[1, 1], [1, 0, 0.2], atol=1e-6)


def test_whole_numbers_are_rounded_not_cut(tmp_path: Path) -> None:
    spec = image_input([1, 4, 4], value_range=pb.ValueRange(minimum=0, maximum=254))
    spec.element_type = pb.ELEMENT_TYPE_UINT8
    array = PictureReader([spec]).read(saved(tmp_path / "p.png", np.ones((4, 4), np.uint8)))
    assert array.dtype == np.uint8
    assert array[0, 0, 0] == 1  # 254/255


def test_sixteen_bits_lose_precision_and_not_brightness(tmp_path: Path) -> None:
    pixels = np.full((4, 4), 51 * 257, np.uint16)
    array = PictureReader([GREY]).read(saved(tmp_path / "p.png", pixels))
    np.testing.assert_allclose(array, 0.2, atol=1e-6)


def test_what_is_transparent_stands_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    array = PictureReader([GREY]).read(saved(tmp_path / "p.png", pixels, "RGBA"))
    np.testing.assert_allclose(array, 1.0)


def test_a_folder_gives_its_pictures_in_order_and_tells_of_the_rest(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        saved(tmp_path / name, np.zeros((4, 4), np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    heard = Heard()
    samples = read(tmp_path, heard=heard)
    assert [Path(sample.source).name for sample in samples] == ["a.png", "b.png"]
    assert len(heard.warnings) == 1


def test_a_picture_of_a_folder_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in ("a.png", "c.png"):
        saved(tmp_path / name, np.zeros((4, 4), np.uint8))
    (tmp_path / "b.png").write_bytes(b"no picture")
    heard = Heard()
    samples = read(tmp_path, heard=heard)
    assert [Path(sample.source).name for sample in samples] == ["a.png", "c.png"]
    assert ["b.png" in str(error) for error in heard.unread] == [True]


@pytest.mark.parametrize("changes", [{}, {"mean": [0.5], "standard_deviation": [0.25]}])
def test_values_of_another_scale_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    spec = image_input([1, 4, 4], **changes)
    images = np.linspace(0, 255, 16, dtype=np.float32).reshape(1, 1, 4, 4)
    np.savez(tmp_path / "s.npz", image=images)
    with pytest.raises(InvalidArgument, match="declared are 0 to 1"):
        read(tmp_path / "s.npz", spec)


def test_normalised_values_of_the_declared_scale_are_taken(tmp_path: Path) -> None:
    spec = image_input([1, 4, 4], mean=[0.5], standard_deviation=[0.25])
    images = (np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 1, 4, 4) - 0.5) / 0.25
    np.savez(tmp_path / "s.npz", image=images)
    heard = Heard()
    assert len(read(tmp_path / "s.npz", spec, heard)) == 1
    assert heard.warnings == []


def test_values_that_cover_hardly_any_of_the_range_are_asked_about(tmp_path: Path) -> None:
    spec = image_input([1, 4, 4], value_range=pb.ValueRange(minimum=0, maximum=255))
    images = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 1, 4, 4)
    np.savez(tmp_path / "s.npz", image=images)
    heard = Heard()
    assert len(read(tmp_path / "s.npz", spec, heard)) == 1
    assert "spans 0 to 1 only" in heard.warnings[0]


def test_an_npz_gives_a_sample_each_in_order(tmp_path: Path) -> None:
    images = np.arange(32, dtype=np.float32).reshape(2, 1, 4, 4) / 32
    np.savez(tmp_path / "s.npz", image=images, labels=np.zeros(2, np.int64))
    samples = read(tmp_path / "s.npz")
    assert [sample.source for sample in samples] == [
        f"{tmp_path / 's.npz'}[0]",
        f"{tmp_path / 's.npz'}[1]",
    ]
    np.testing.assert_array_equal(samples[1].inputs["image"], images[1])


def test_double_precision_becomes_single(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", image=np.zeros((1, 1, 4, 4)))
    assert read(tmp_path / "s.npz")[0].inputs["image"].dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x": np.zeros((1, 1, 4, 4), np.float32)}, "no array 'image'"),
        ({"image": np.zeros((1, 4, 4), np.float32)}, "shape"),
        ({"image": np.zeros((1, 1, 5, 4), np.float32)}, "shape"),
        ({"image": np.zeros((1, 1, 4, 4), np.uint8)}, "uint8"),
        ({"image": np.full((1, 1, 4, 4), np.nan, np.float32)}, "finite"),
        ({"image": np.array([{}], object)}, "plain arrays"),
        ({"image": np.zeros((0, 1, 4, 4), np.float32)}, "no samples"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    arrays: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "s.npz", allow_pickle=True, **arrays)
    with pytest.raises(InvalidArgument, match=complaint):
        read(tmp_path / "s.npz")


@pytest.mark.parametrize("name", ["p.png", "s.npz"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut off", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_not_what_it_says_is_refused(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidArgument):
        read(tmp_path / name)


def test_a_picture_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.png", np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InvalidArgument, match="truncated"):
        read(path)


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [GREY, GREY],
        [pb.InputSpec(name="x", shape=[4], tensor=pb.TensorSemantics())],
        [image_input([2, 4, 4])],
        [image_input([4, 4])],
    ],
)
def test_a_model_that_takes_no_picture_is_not_shown_one(inputs: list[pb.InputSpec]) -> None:
    with pytest.raises(InvalidArgument, match="model"):
        PictureReader(inputs)
