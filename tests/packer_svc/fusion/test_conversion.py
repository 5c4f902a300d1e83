"""Is a fragment fed the same whichever of two forms its pictures or texts come in?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from onnxgraph.parity import run_onnx
from onnxgraph.serialise import from_trusted_bytes
from packer_svc.fusion.conversion import PREFIX, adapted, converted, fed_alike
from svckit.input_spec import Image, InputSpec, Text
from tests.helpers.fragments import CONVOLUTION, fragment

FED = InputSpec("image", (2, 6, 6), "float32", Image(False, 0.0, 1.0))
"""What the fragment of these tests is fed."""
EIGHT_BITS = InputSpec("pixels", (6, 6, 2), "uint8", Image(True, 0.0, 255.0))
GRAPH = fragment(CONVOLUTION)

Pixels = npt.NDArray[np.uint8]


def pixels(*shape: int, seed: int = 0) -> Pixels:
    """Pictures at random."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def answers(graph: bytes, **inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The class scores of a graph."""
    return np.asarray(run_onnx(graph, inputs)["scores"])


def test_a_fragment_that_takes_the_packs_inputs_stays_as_it_is() -> None:
    assert adapted(GRAPH, [FED], [FED]) is GRAPH


def test_another_name_is_all_that_changes() -> None:
    graph = adapted(GRAPH, [FED], [replace(FED, name="x")])
    values = np.random.default_rng(0).random((3, 2, 6, 6), np.float32)
    np.testing.assert_array_equal(answers(graph, x=values), answers(GRAPH, image=values))
    assert not [node for node in from_trusted_bytes(graph).graph if _is_added(node.name)]


@pytest.mark.parametrize("place", ["node", "weight"])
def test_a_name_that_the_fragment_uses_inside_is_no_obstacle(place: str) -> None:
    inside = from_trusted_bytes(GRAPH).graph
    name = str(inside[0].outputs[0].name if place == "node" else next(iter(inside.initializers)))
    graph = adapted(GRAPH, [FED], [replace(EIGHT_BITS, name=name)])
    shown = pixels(3, 6, 6, 2)
    expected = answers(GRAPH, image=(shown / 255).transpose(0, 3, 1, 2).astype(np.float32))
    np.testing.assert_allclose(answers(graph, **{name: shown}), expected, atol=1e-5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    last=st.booleans(),
    whole=st.booleans(),
    bounds=st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (16.0, 235.0)]),
    mean=st.lists(st.floats(-2, 2), min_size=2, max_size=2) | st.just([]),
    deviation=st.lists(st.floats(0.1, 3), min_size=2, max_size=2) | st.just([]),
)
def test_a_fragment_sees_the_same_pictures_in_every_form(
    *,
    last: bool,
    whole: bool,
    bounds: tuple[float, float],
    mean: list[float],
    deviation: list[float],
) -> None:
    """Made by hand, in float64, of what the fragment would be fed itself."""
    if whole:
        bounds, mean, deviation = (0.0, 255.0), [], []
    semantics = Image(last, *bounds, tuple(mean), tuple(deviation))
    shape = (6, 6, 2) if last else (2, 6, 6)
    source = InputSpec("x", shape, "uint8" if whole else "float32", semantics)
    shown = pixels(4, 2, 6, 6)
    levels = bounds[0] + shown / 255 * (bounds[1] - bounds[0])
    mine = (levels - _axes(mean, 0.0)) / _axes(deviation, 1.0)
    fed = np.moveaxis(mine, 1, -1) if last else mine
    fed = np.rint(fed).astype(np.uint8) if whole else fed.astype(np.float32)

    expected = answers(GRAPH, image=(shown / 255).astype(np.float32))
    found = answers(adapted(GRAPH, [FED], [source]), x=fed)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    back = converted({"image": (shown / 255).astype(np.float32)}, [FED], [source])["x"]
    assert back.dtype == fed.dtype
    assert np.abs(back.astype(np.float64) - fed).max() <= 1e-4 * np.abs(fed).max()


def _axes(values: list[float], otherwise: float) -> npt.NDArray[np.float64]:
    return np.array(values or [otherwise]).reshape(-1, 1, 1)


@pytest.mark.parametrize("size", [6, 3, 12])
def test_channels_that_are_last_in_both_forms_stay_the_same_pictures(size: int) -> None:
    fed = InputSpec("x", (6, 6, 2), "float32", Image(True, 0.0, 1.0, (0.4, 0.6), (0.2, 0.3)))
    target = InputSpec("y", (size, size, 2), "uint8", Image(True, 0.0, 255.0))
    flat = np.repeat(pixels(4, 1, 1, 2), 36, axis=1).reshape(4, 6, 6, 2)
    values = ((flat / 255 - [0.4, 0.6]) / [0.2, 0.3]).astype(np.float32)
    found = converted({"x": values}, [fed], [target])["y"]
    assert found.shape == (4, size, size, 2)
    np.testing.assert_array_equal(found[:, 0, 0], flat[:, 0, 0])


def test_a_fragment_with_nodes_of_such_names_can_be_adapted() -> None:
    once = adapted(GRAPH, [FED], [EIGHT_BITS])
    twice = adapted(once, [EIGHT_BITS], [replace(FED, name="pixels")])
    names = [str(node.name) for node in from_trusted_bytes(twice).graph]
    assert len(set(names)) == len(names)
    shown = (pixels(3, 2, 6, 6) / 255).astype(np.float32)
    np.testing.assert_allclose(answers(twice, pixels=shown), answers(GRAPH, image=shown), atol=2e-5)


def test_whole_numbers_are_rounded_and_kept_in_their_range() -> None:
    target = replace(EIGHT_BITS, name="image", shape=(2, 6, 6), semantics=Image(False, 0, 255))
    values = np.full((1, 2, 6, 6), 100.6 / 255, np.float32)
    values[0, 0, 0, :3] = [-3.0, 2.0, 0.0]
    found = converted({"image": values}, [FED], [target])["image"]
    assert found.dtype == np.uint8
    assert found[0, 0, 0, :4].tolist() == [0, 255, 0, 101]


def test_pictures_of_bytes_are_only_turned() -> None:
    target = replace(EIGHT_BITS, shape=(2, 6, 6), semantics=Image(False, 0, 255))
    shown = pixels(3, 6, 6, 2)
    found = converted({"pixels": shown}, [EIGHT_BITS], [target])["pixels"]
    np.testing.assert_array_equal(found, shown.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("size", [3, 5, 11, 24])
def test_pictures_are_resized_as_an_imaging_library_does(size: int, *, last: bool) -> None:
    shown = np.random.default_rng(0).random((1, 2, 6, 6), np.float32)
    if last:
        semantics = Image(True, 0.0, 1.0)
        source, target = (InputSpec("image", (n, n, 2), "float32", semantics) for n in (6, size))
        turned = np.ascontiguousarray(shown.transpose(0, 2, 3, 1))
        found = converted({"image": turned}, [source], [target])["image"].transpose(0, 3, 1, 2)
    else:
        target = replace(FED, shape=(2, size, size))
        found = converted({"image": shown}, [FED], [target])["image"]
    for channel in range(2):
        picture = Pillow.fromarray(shown[0, channel])
        expected = np.asarray(picture.resize((size, size), Pillow.Resampling.BILINEAR))
        np.testing.assert_allclose(found[0, channel], expected, atol=1e-5)


def test_a_larger_picture_reaches_a_fragment_at_its_own_size() -> None:
    large = InputSpec("image", (24, 24, 2), "uint8", Image(True, 0.0, 255.0))
    flat = np.repeat(pixels(5, 1, 1, 2), 24 * 24, axis=1).reshape(5, 24, 24, 2)
    small = np.moveaxis(flat[:, :6, :6] / 255, -1, 1).astype(np.float32)
    graph = adapted(GRAPH, [FED], [large])
    np.testing.assert_allclose(answers(graph, image=flat), answers(GRAPH, image=small), atol=1e-5)


@pytest.mark.parametrize("length", [5, 9])
@pytest.mark.parametrize("element_type", ["int64", "int32"])
def test_texts_are_cut_and_filled_up_at_their_ends(length: int, element_type: str) -> None:
    words = Text(f"sha256:{'1' * 64}", 50, 7)
    source = InputSpec("ids", (7,), "int64", words)
    target = InputSpec("tokens", (length,), element_type, words)
    ids = np.random.default_rng(0).integers(0, 50, (4, 7))
    found = converted({"ids": ids}, [source], [target])["tokens"]
    assert found.dtype == np.dtype(element_type)
    np.testing.assert_array_equal(found[:, :7], ids[:, :length])
    assert (found[:, 7:] == 7).all()


def test_what_is_fed_alike_whatever_it_is_called_is_not_touched() -> None:
    values = np.zeros((1, 2, 6, 6), np.float32)
    other = replace(FED, name="x")
    assert fed_alike([FED], [other])
    assert converted({"image": values}, [FED], [other])["x"] is values
    same = replace(FED, semantics=Image(False, 0.0, 255.0, (0.0,), (255.0,)))
    assert fed_alike([FED], [same])
    assert not fed_alike([FED], [replace(FED, semantics=Image(False, 0.0, 255.0))])


def _is_added(name: str | None) -> bool:
    return name is not None and name.startswith(PREFIX)
