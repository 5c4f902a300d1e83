"""Augmented views of samples: only what the caller says the inputs allow."""

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.samples import Samples

REPLACED = (0.1, 1.0)
"""Least and largest share of a text's words that a view replaces; drawn for each text anew."""


@dataclass(frozen=True)
class Words:
    """An input that is text, as tokens.

    Attributes:
        name: The input's name.
        vocabulary: Tokens that the model knows, numbered from 0 on, the padding included.
        padding: The token that fills up short texts; it is neither replaced nor put in.
    """

    name: str
    vocabulary: int
    padding: int


@dataclass(frozen=True)
class Augmentation:
    """What may be done to the inputs of a model to see more of what it computes.

    Pictures and noisy numbers stay of their class. Text whose words are replaced does not always:
    it shows how a model reads words that no sample holds, which is what a cut model is fitted to.
    What learns from labels is given the views of `of_the_same_class` alone.

    Everything is off by default: a tensor of unknown meaning has no view but itself.

    Attributes:
        images: Names of the inputs that are images; only these are flipped and cropped.
        channels_last: Whether images are `(N, H, W, C)` instead of `(N, C, H, W)`.
        flip: Whether an image may be mirrored left to right.
        pad: Pixels of edge padding before a random crop of the original size.
        noise: Standard deviation of Gaussian noise on floating inputs that are no images, as a
            share of that input's own standard deviation over the samples.
        texts: Inputs that are text; a view replaces a random share (`REPLACED`) of each text's
            words, half of them by words of the samples and half by any of the vocabulary.
    """

    images: tuple[str, ...] = ()
    channels_last: bool = False
    flip: bool = False
    pad: int = 0
    noise: float = 0.0
    texts: tuple[Words, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether every view would equal its sample."""
        moves = bool(self.images) and (self.flip or self.pad > 0)
        return not moves and self.noise == 0 and not self.texts

    @property
    def of_the_same_class(self) -> "Augmentation":
        """What of this leaves the class of a sample as it is."""
        return replace(self, texts=())


def augmented(samples: Samples, augmentation: Augmentation, views: int, seed: int) -> Samples:
    """Samples followed by `views - 1` random views of each of them.

    Args:
        samples: The samples as given; they are the first view.
        augmentation: What may be done to the inputs.
        views: Views per sample, the sample itself included, at least 1.
        seed: Seed of the draws; equal seeds give equal views.

    Returns:
        The samples alone where the augmentation changes nothing, else `views * n` samples: view
        by view, each in the order of the samples.

    Raises:
        SlicingError: SAMPLES_MISMATCH for an image that is not `(N, C, H, W)` or `(N, H, W, C)`.
    """
    if views == 1 or augmentation.changes_nothing:
        return samples
    random = np.random.default_rng(seed)
    rounds = [samples] + [_view(samples, augmentation, random) for _ in range(views - 1)]
    inputs = {
        name: np.concatenate([view.inputs[name] for view in rounds]) for name in samples.inputs
    }
    return Samples(inputs, np.tile(samples.labels, views))


def _view(samples: Samples, augmentation: Augmentation, random: np.random.Generator) -> Samples:
    """One random view of every sample; all images of a sample move together."""
    count = len(samples)
    flips = random.random(count) < (0.5 if augmentation.flip else 0.0)
    shifts = random.integers(0, 2 * augmentation.pad + 1, size=(count, 2))
    texts = {words.name: words for words in augmentation.texts}
    inputs: dict[str, NDArray[np.generic]] = {}
    for name, array in samples.inputs.items():
        if name in augmentation.images:
            inputs[name] = _moved(array, augmentation, flips, shifts)
        elif name in texts:
            inputs[name] = _reworded(array, texts[name], random)
        elif augmentation.noise > 0 and np.issubdtype(array.dtype, np.floating):
            scale = augmentation.noise * float(array.std(dtype=np.float64))
            noise = random.normal(0.0, scale, array.shape)
            inputs[name] = (array.astype(np.float64) + noise).astype(array.dtype)
        else:
            inputs[name] = array
    return Samples(inputs, samples.labels)


def _moved(
    images: NDArray[np.generic],
    augmentation: Augmentation,
    flips: NDArray[np.bool_],
    shifts: NDArray[np.int64],
) -> NDArray[np.generic]:
    """Images mirrored where `flips` says so, and cropped at `shifts` from their padded selves."""
    rows, columns = (1, 2) if augmentation.channels_last else (2, 3)
    if images.ndim != 4:
        raise SlicingError(
            SlicingReason.SAMPLES_MISMATCH,
            f"an image input has the shape {images.shape}, which is no batch of pictures",
            advice="Declare the input as a tensor, or give it height, width and channels.",
        )
    height, width = images.shape[rows], images.shape[columns]
    widths = [(0, 0)] * images.ndim
    widths[rows] = widths[columns] = (augmentation.pad, augmentation.pad)
    # Edge padding: zero is no neutral colour once pixels are normalised.
    padded = np.pad(images, widths, mode="edge")
    moved = np.empty_like(images)
    for place, (flip, (top, left)) in enumerate(zip(flips, shifts, strict=True)):
        window: list[slice] = [slice(None)] * (images.ndim - 1)
        window[rows - 1] = slice(top, top + height)
        window[columns - 1] = slice(left, left + width)
        crop = padded[place][tuple(window)]
        moved[place] = np.flip(crop, axis=columns - 1) if flip else crop
    return moved


def _reworded(
    tokens: NDArray[np.generic], words: Words, random: np.random.Generator
) -> NDArray[np.generic]:
    """Texts `(n, ...)` with some of their words replaced.

    Tokens that every text holds, such as marks of its beginning and end, stay: they are no words.
    """
    rows = tokens.reshape(len(tokens), -1)
    marks = reduce(np.intersect1d, rows) if len(rows) > 1 else rows[:0]
    fixed = np.union1d(marks, words.padding)
    replaceable = np.isin(rows, fixed, invert=True)
    share = random.uniform(*REPLACED, size=(len(rows), 1))
    chosen = replaceable & (random.random(rows.shape) < share)
    count = int(chosen.sum())
    if not count:
        return tokens
    own = random.choice(rows[replaceable], count)
    any_word = random.choice(np.setdiff1d(np.arange(words.vocabulary), fixed), count)
    changed = rows.copy()
    changed[chosen] = np.where(random.random(count) < 0.5, own, any_word)
    return changed.reshape(tokens.shape)
