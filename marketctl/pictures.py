"""Decodes pictures into what a model is fed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.slicer.v1 import input_spec_pb2 as pb

from svckit.errors import InvalidArgument

PICTURES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""The endings of the files in a folder that are taken for pictures."""

_MODES: Final = {1: "L", 3: "RGB"}
_DEEP: Final = ("I;16", "I;16B", "I;16L", "I;16N")
_TOO_LARGE: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_INTEGERS: Final = {
    pb.ELEMENT_TYPE_UINT8: np.uint8,
    pb.ELEMENT_TYPE_INT64: np.int64,
    pb.ELEMENT_TYPE_INT32: np.int32,
}


class PictureReader:
    """Reads pictures for a model with one input, which takes pictures.

    Args:
        inputs: The model's inputs.

    Attributes:
        input: The name of that input.

    Raises:
        InvalidArgument: The model is not so.
    """

    def __init__(self, inputs: Sequence[pb.InputSpec]) -> None:
        if len(inputs) != 1 or not inputs[0].HasField("image"):
            names = ", ".join(spec.name for spec in inputs)
            raise _refused(
                f"The model does not take one picture: its inputs are {names}.",
                "Give an npz with an array per input.",
            )
        spec = inputs[0]
        self.input = spec.name
        self._image = spec.image
        self._last = spec.image.layout == pb.IMAGE_LAYOUT_NHWC
        shape = list(spec.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise _refused(
                f"The model's pictures have the shape {shape}, which says no fixed size.",
                "Give an npz with pictures of a size that the model takes.",
            )
        height, width, channels = shape if self._last else (*shape[1:], shape[0])
        self._size = (width, height)
        if channels not in _MODES:
            raise _refused(
                f"The model's pictures have {channels} channels.",
                "Give an npz: picture files are read with one channel or three.",
            )
        self._mode = _MODES[channels]
        self._type = _INTEGERS.get(spec.element_type, np.float32)

    def read(self, path: Path) -> npt.NDArray[Any]:
        """Returns a picture, scaled to the model's size, as the model is fed.

        Args:
            path: The file.

        Raises:
            InvalidArgument: It is no picture.
        """
        picture = decoded(path).convert(self._mode).resize(self._size, Image.Resampling.BILINEAR)
        pixels = np.asarray(picture, np.float64) / 255.0
        bounds = self._image.value_range
        values = bounds.minimum + pixels * (bounds.maximum - bounds.minimum)
        values = values.reshape(*values.shape[:2], -1)
        if self._image.mean:
            values = values - np.asarray(self._image.mean)
        if self._image.standard_deviation:
            values = values / np.asarray(self._image.standard_deviation)
        if self._type is not np.float32:
            values = np.rint(values)
        return (values if self._last else values.transpose(2, 0, 1)).astype(self._type)


def decoded(path: Path) -> Image.Image:
    """Returns a picture upright, eight bits a value, on white where it is transparent.

    Args:
        path: The file.

    Raises:
        InvalidArgument: SAMPLES_UNREADABLE, it is no picture.
        OSError: The file cannot be opened.
    """
    try:
        with warnings.catch_warnings():
            # A picture of a size that only an attack has is an error, not a warning.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                upright = ImageOps.exif_transpose(picture)
                upright.load()
    except OSError as error:
        if error.errno is not None:
            raise  # The file cannot be opened; what Pillow cannot decode has no number.
        raise _refused(f"{path} is no picture that can be read: {error}", _FILES) from None
    except (*_TOO_LARGE, SyntaxError, ValueError) as error:
        raise _refused(f"{path} is no picture that can be read: {error}", _FILES) from None
    if upright.mode in _DEEP:
        upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    elif upright.mode in ("I", "F"):
        raise _refused(f"{path} has values of more than 16 bits.", _FILES)
    if upright.has_transparency_data:
        ground = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(ground, upright.convert("RGBA"))
    return upright


_FILES: Final = "Give a PNG, JPEG or WebP file of eight or 16 bits, or an npz."


def _refused(message: str, advice: str) -> InvalidArgument:
    return InvalidArgument(reasons.ERROR_REASON_SAMPLES_UNREADABLE, message, advice=advice)
