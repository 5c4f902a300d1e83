import numpy as np
import pytest

from slicer_svc.slicing.augmentation import REPLACED, Augmentation, Words, augmented
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.samples import Samples


def images(channels_last: bool = False) -> Samples:
    pixels = np.random.default_rng(0).random((6, 3, 5, 4)).astype(np.float32)
    if channels_last:
        pixels = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
    flags = np.arange(6, dtype=np.int64)[:, None]
    return Samples({"image": pixels, "flag": flags}, np.arange(6, dtype=np.int64) % 3)


def test_a_tensor_has_no_view_but_itself() -> None:
    samples = images()
    assert augmented(samples, Augmentation(flip=True, pad=2), 8, 0) is samples


def test_the_samples_themselves_are_the_first_view() -> None:
    samples = images()
    views = augmented(samples, Augmentation(images=("image",), flip=True, pad=1), 4, 0)
    assert len(views) == 24
    np.testing.assert_array_equal(views.inputs["image"][:6], samples.inputs["image"])
    np.testing.assert_array_equal(views.labels, np.tile(samples.labels, 4))
    np.testing.assert_array_equal(views.inputs["flag"], np.tile(samples.inputs["flag"], (4, 1)))


def test_a_flip_mirrors_left_to_right_and_nothing_else() -> None:
    for channels_last in (False, True):
        samples = images(channels_last)
        allowed = Augmentation(images=("image",), channels_last=channels_last, flip=True)
        views = augmented(samples, allowed, 5, 1).inputs["image"].reshape(5, 6, -1)
        plain = samples.inputs["image"]
        mirrored = np.flip(plain, axis=2 if channels_last else 3).reshape(6, -1)
        same = (views == plain.reshape(6, -1)).all(axis=2)
        turned = (views == mirrored).all(axis=2)
        assert (same ^ turned).all()
        assert turned.any()


def test_a_crop_moves_the_image_within_its_padding() -> None:
    samples = images()
    views = augmented(samples, Augmentation(images=("image",), pad=1), 3, 2).inputs["image"]
    padded = np.pad(samples.inputs["image"], ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    for place, view in enumerate(views):
        whole = padded[place % 6]
        windows = [whole[:, y : y + 5, x : x + 4] for y in range(3) for x in range(3)]
        assert any(np.array_equal(view, window) for window in windows)


def test_noise_touches_floating_tensors_only() -> None:
    samples = images()
    views = augmented(samples, Augmentation(noise=0.1), 2, 3)
    moved = views.inputs["image"][6:].astype(float) - samples.inputs["image"].astype(float)
    assert 0.0 < np.abs(moved).mean() < 0.1
    assert views.inputs["image"].dtype == np.float32
    np.testing.assert_array_equal(views.inputs["flag"][6:], samples.inputs["flag"])


def test_equal_seeds_give_equal_views() -> None:
    allowed = Augmentation(images=("image",), flip=True, pad=2)
    first = augmented(images(), allowed, 3, 7).inputs["image"]
    np.testing.assert_array_equal(first, augmented(images(), allowed, 3, 7).inputs["image"])
    assert not np.array_equal(first, augmented(images(), allowed, 3, 8).inputs["image"])


def test_an_image_without_height_and_width_is_refused() -> None:
    rows = Samples({"image": np.zeros((2, 4), np.float32)}, np.zeros(2, np.int64))
    with pytest.raises(SlicingError) as caught:
        augmented(rows, Augmentation(images=("image",), flip=True), 2, 0)
    assert caught.value.reason is SlicingReason.SAMPLES_MISMATCH


def texts() -> Samples:
    """Six texts of up to 40 words from 4 to 99 between the marks 2 and 3, filled up with 0."""
    random = np.random.default_rng(0)
    tokens = np.zeros((6, 42), dtype=np.int64)
    for row, length in zip(tokens, (40, 35, 30, 25, 20, 15), strict=True):
        row[1 : length + 1] = random.integers(4, 100, length)
        row[0], row[length + 1] = 2, 3
    return Samples({"tokens": tokens, "mask": (tokens > 0).astype(np.int64)}, np.arange(6))


TEXT = Augmentation(texts=(Words("tokens", 1000, 0),))


def test_views_of_text_replace_words_by_others_and_leave_marks_and_padding_in_place() -> None:
    samples = texts()
    plain = np.asarray(samples.inputs["tokens"], np.int64)
    made = augmented(samples, TEXT, 9, 0).inputs["tokens"]
    assert made.dtype == np.int64
    views = np.asarray(made, np.int64).reshape(9, 6, 42)
    np.testing.assert_array_equal(views[0], plain)
    words = plain > 3
    for view in views[1:]:
        np.testing.assert_array_equal(view[~words], plain[~words])
        assert view[words].min() > 3
        assert view[words].max() < 1000
    changed = (views[1:] != plain)[:, words].mean()
    assert REPLACED[0] < changed < REPLACED[1]
    put_in = views[1:][views[1:] != plain]
    strange = ~np.isin(put_in, plain)
    assert 0.3 < strange.mean() < 0.7
    np.testing.assert_array_equal(
        augmented(samples, TEXT, 2, 0).inputs["mask"][6:], samples.inputs["mask"]
    )


def test_a_single_text_has_no_marks_and_an_empty_one_no_other_view() -> None:
    tokens = np.array([[5, 6, 7, 8, 9, 10, 0, 0]], dtype=np.int32)
    views = augmented(Samples({"tokens": tokens}, np.zeros(1, np.int64)), TEXT, 9, 0)
    assert (views.inputs["tokens"][1:, :6] != tokens[0, :6]).any(axis=0).all()
    empty = Samples({"tokens": np.zeros((2, 4), np.int64)}, np.zeros(2, np.int64))
    np.testing.assert_array_equal(augmented(empty, TEXT, 3, 0).inputs["tokens"], np.zeros((6, 4)))


def test_what_learns_from_labels_is_shown_no_other_words() -> None:
    samples = texts()
    assert augmented(samples, TEXT.of_the_same_class, 8, 0) is samples
    moved = Augmentation(images=("image",), pad=1, texts=TEXT.texts)
    assert moved.of_the_same_class == Augmentation(images=("image",), pad=1)
