"""Specifications as bytes, of honest and of other makers."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specification.checks import validate
from specification.codec import MAGIC, MOST_BYTES, from_bytes, to_bytes
from specification.errors import SpecificationError, SpecificationReason
from specification.model import Specification
from tests.specification.pictures import specified

PREFIX = struct.Struct("<8sII")
MODEL = specified(("rows", "discs"), 0)
WRITTEN = to_bytes(MODEL)


def forged(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The bytes with another header."""
    _, version, length = PREFIX.unpack_from(WRITTEN)
    header = json.loads(WRITTEN[PREFIX.size : PREFIX.size + length])
    change(header)
    text = json.dumps(header).encode()
    return PREFIX.pack(MAGIC, version, len(text)) + text + WRITTEN[PREFIX.size + length :]


def refusal(data: bytes) -> SpecificationError:
    with pytest.raises(SpecificationError) as caught:
        from_bytes(data)
    return caught.value


def test_what_was_written_is_read_back_in_every_number() -> None:
    found = from_bytes(WRITTEN)
    assert to_bytes(found) == WRITTEN
    assert (found.points == MODEL.points).all()
    assert (found.proxy == MODEL.proxy).all()
    assert found.labels == MODEL.labels


def test_a_task_without_labels_is_read_back() -> None:
    written = to_bytes(specified(("rows", "discs"), 0, labelled=False))
    assert to_bytes(from_bytes(written)) == written


def test_another_version_is_told_apart() -> None:
    error = refusal(MAGIC + struct.pack("<I", 7) + WRITTEN[12:])
    assert error.reason is SpecificationReason.SPECIFICATION_VERSION
    assert error.metadata == {"version": "7", "wanted": "1"}


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.clear(),
        lambda header: header.update(points=10**9),
        lambda header: header.update(points=-1),
        lambda header: header.update(points=True),
        lambda header: header.update(points="5"),
        lambda header: header["space"].update(dimensions=10**12),
        lambda header: header["space"].update(kind=None),
        lambda header: header.update(labels=["a"] * 100_000),
        lambda header: header.update(labels=["rows", "rows"]),
        lambda header: header.update(labels=["rows", ""]),
        lambda header: header.update(labels=["rows", "\ud800"]),
        lambda header: header.update(labels=["rows", "\x1b[2J"]),
        lambda header: header.update(labels=["rows", "x" * 257]),
        lambda header: header.update(labels="rd"),
        lambda header: header["space"].update(kind="\ud800"),
        lambda header: header["space"].update(kind="image\n"),
        lambda header: header["space"].update(key="x" * 2000),
        lambda header: header.update(labels=[1, 2]),
        lambda header: header.update(samples=4),
        lambda header: header.update(samples=10**30),
        lambda header: header.update(nearest=0.0),
        lambda header: header.update(bound=0.0, nearest=0.0),
        lambda header: header.update(bound=float("nan")),
        lambda header: header.update(bound=[]),
        lambda header: header.update(privacy={"epsilon": 1.0}),
        lambda header: header.update(
            privacy=dict.fromkeys(
                ("epsilon", "delta", "clipping", "sensitivity", "deviation"), -1.0
            )
        ),
    ],
)
def test_a_forged_header_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    assert refusal(forged(change)).reason is SpecificationReason.SPECIFICATION_INVALID


def with_weight(value: float) -> Specification:
    weights = MODEL.weights.copy()
    weights[0] = value
    return replace(MODEL, weights=weights)


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (with_weight(-0.1), "weights"),
        (with_weight(0.9), "weights"),
        (with_weight(np.nan), "weights"),
        (replace(MODEL, points=MODEL.points * np.inf), "points"),
        (replace(MODEL, points=MODEL.points + 1e20), "points"),
        (replace(MODEL, points=MODEL.points[:, :5]), "points"),
        (replace(MODEL, proxy=MODEL.proxy[:, :1]), "proxy"),
        (replace(MODEL, scale=MODEL.scale * 0), "scale"),
        (replace(MODEL, scale=MODEL.scale * 2), "scale"),
        (replace(MODEL, offset=MODEL.offset + 1), "scale"),
        (replace(MODEL, spreads=MODEL.spreads * 0), "spreads"),
        (replace(MODEL, spreads=MODEL.spreads + 1), "spreads"),
        (replace(MODEL, samples=len(MODEL.weights)), "points"),
        (replace(MODEL, class_samples=MODEL.class_samples + 1), "class_samples"),
        (replace(MODEL, point_classes=MODEL.point_classes * 0), "point_classes"),
        (replace(MODEL, labels=(), proxy=MODEL.proxy[:, :0]), "bias"),
        (replace(MODEL, nearest=MODEL.bound / 2), "nearest"),
    ],
)
def test_what_no_maker_makes_is_never_written(one: Specification, field: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        to_bytes(one)
    assert caught.value.metadata == {"field": field}


def test_forged_numbers_are_refused_in_bytes_too() -> None:
    spoilt = bytearray(WRITTEN)
    place = WRITTEN.index(MODEL.weights.astype("<f8").tobytes())
    spoilt[place : place + 8] = struct.pack("<d", -0.5)
    assert refusal(bytes(spoilt)).metadata == {"field": "weights"}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(WRITTEN) - 1), st.binary(max_size=8))
def test_bytes_cut_off_or_changed_never_end_in_another_error(place: int, new: bytes) -> None:
    for data in (WRITTEN[:place], WRITTEN[:place] + new + WRITTEN[place + len(new) :], new):
        with suppress(SpecificationError):
            validate(from_bytes(data))


def test_far_too_many_bytes_are_not_looked_at() -> None:
    assert "at most" in refusal(MAGIC + bytes(MOST_BYTES)).message
