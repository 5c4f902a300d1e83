"""Specifications as bytes: no pickle, the same ones for the same specification.

A magic word, the version, the length of a JSON header, the header, then the arrays: little-endian,
in the order of `_ARRAYS`. The sizes in the header are checked before anything is read by them.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import asdict, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from specification.checks import (
    MOST_CLASSES,
    MOST_DIMENSIONS,
    MOST_LABEL,
    MOST_POINTS,
    check_version,
    validate,
)
from specification.errors import SpecificationError, SpecificationReason
from specification.model import Privacy, Space, Specification

MAGIC: Final = b"SAPSPEC\0"
MOST_BYTES: Final = 64 * 2**20
"""No file of a specification is larger."""
# JSON writes a character as up to two escapes of six letters.
_MOST_HEADER: Final = MOST_CLASSES * (12 * MOST_LABEL + 32) + 4096
_PREFIX: Final = struct.Struct("<8sII")
_PRIVACY: Final = tuple(field.name for field in fields(Privacy))
_ARRAYS: Final[tuple[tuple[str, np.dtype[Any], tuple[str, ...]], ...]] = (
    ("points", np.dtype("<f4"), ("points", "dimensions")),
    ("weights", np.dtype("<f8"), ("points",)),
    ("point_classes", np.dtype("<i4"), ("points",)),
    ("proxy", np.dtype("<f4"), ("dimensions", "classes")),
    ("bias", np.dtype("<f4"), ("classes",)),
    ("class_samples", np.dtype("<i8"), ("classes",)),
    ("offset", np.dtype("<f4"), ("dimensions",)),
    ("scale", np.dtype("<f4"), ("dimensions",)),
    ("spreads", np.dtype("<f8"), ("groups",)),
)


def to_bytes(found: Specification) -> bytes:
    """Writes a specification; `from_bytes` reads back one that is equal in every number.

    Raises:
        SpecificationError: SPECIFICATION_INVALID, it is none.
    """
    validate(found)
    header = json.dumps(
        {
            "space": asdict(found.space),
            "seed": found.seed,
            "labels": list(found.labels),
            "points": len(found.weights),
            "samples": found.samples,
            "nearest": found.nearest,
            "bound": found.bound,
            "privacy": asdict(found.privacy) if found.privacy else None,
        },
        sort_keys=True,
        separators=(",", ":"),
    ).encode()
    arrays = [
        np.ascontiguousarray(getattr(found, name), dtype=kind).tobytes()
        for name, kind, _ in _ARRAYS
    ]
    return b"".join([_PREFIX.pack(MAGIC, found.version, len(header)), header, *arrays])


def from_bytes(data: bytes) -> Specification:
    """Reads what `to_bytes` wrote, and trusts none of it.

    Raises:
        SpecificationError: SPECIFICATION_VERSION, it is of another version; SPECIFICATION_INVALID,
            it is none, cut off, forged or absurdly large.
    """
    if len(data) > MOST_BYTES:
        raise _malformed(f"{len(data)} bytes, at most {MOST_BYTES} can be")
    if len(data) < _PREFIX.size or data[: len(MAGIC)] != MAGIC:
        raise _malformed("it does not begin as one")
    _, version, length = _PREFIX.unpack_from(data)
    check_version(version)
    if length > min(_MOST_HEADER, len(data) - _PREFIX.size):
        raise _malformed("it is cut off, or its header is far too long")
    body = _PREFIX.size + length
    header = _header(data[_PREFIX.size : body])
    try:
        # What is not a number is found by `validate`.
        with np.errstate(invalid="ignore"):
            found = _specification(header, version, memoryview(data)[body:])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _malformed("its header is incomplete or of wrong types") from error
    validate(found)
    return found


def _header(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _malformed("its header is no JSON") from error
    if not isinstance(found, dict):
        raise _malformed("its header is no object")
    return found


def _specification(header: dict[str, Any], version: int, data: memoryview) -> Specification:
    space = Space(
        _text(header["space"]["kind"]),
        _text(header["space"]["key"]),
        _whole(header["space"]["dimensions"], MOST_DIMENSIONS),
    )
    labels = tuple(_text(label) for label in _listed(header["labels"]))
    sizes = {
        "points": _whole(header["points"], MOST_POINTS),
        "dimensions": space.dimensions,
        "classes": _whole(len(labels), MOST_CLASSES),
        "groups": max(1, len(labels)),
    }
    arrays = _arrays(data, sizes)
    privacy = header["privacy"]
    return Specification(
        version=version,
        space=space,
        seed=_whole(header["seed"], 2**63),
        points=arrays["points"].astype(np.float64),
        weights=arrays["weights"].astype(np.float64),
        point_classes=arrays["point_classes"].astype(np.int64),
        proxy=arrays["proxy"].astype(np.float64),
        bias=arrays["bias"].astype(np.float64),
        labels=labels,
        class_samples=arrays["class_samples"].astype(np.int64),
        samples=_whole(header["samples"], 2**62),
        offset=arrays["offset"].astype(np.float64),
        scale=arrays["scale"].astype(np.float64),
        spreads=arrays["spreads"].astype(np.float64),
        nearest=float(header["nearest"]),
        bound=float(header["bound"]),
        privacy=None
        if privacy is None
        else Privacy(**{name: float(privacy[name]) for name in _PRIVACY}),
    )


def _arrays(data: memoryview, sizes: dict[str, int]) -> dict[str, NDArray[Any]]:
    shapes = [tuple(sizes[axis] for axis in axes) for _, _, axes in _ARRAYS]
    counts = [math.prod(shape) for shape in shapes]
    wanted = sum(count * kind.itemsize for count, (_, kind, _) in zip(counts, _ARRAYS, strict=True))
    if wanted != len(data):
        raise _malformed(f"{len(data)} bytes of numbers, {wanted} belong there")
    found, start = {}, 0
    for shape, count, (name, kind, _) in zip(shapes, counts, _ARRAYS, strict=True):
        found[name] = np.frombuffer(data, dtype=kind, count=count, offset=start).reshape(shape)
        start += count * kind.itemsize
    return found


def _whole(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(value)
    return value


def _listed(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _malformed(message: str) -> SpecificationError:
    return SpecificationError(
        SpecificationReason.SPECIFICATION_INVALID,
        f"this is no specification: {message}",
        advice="Give a file as `marketctl specify` writes it, whole and unchanged.",
    )
