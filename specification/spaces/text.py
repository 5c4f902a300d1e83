"""The space of text: which tokens a text has, by their numbers in its vocabulary.

No file of a vocabulary is needed, and none would help: two vocabularies share no numbers, so texts
compare under one vocabulary alone.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from svckit.input_spec import Text

BUCKETS: Final = 512
"""Tokens fall into this many buckets, by a hash of their number."""
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


def text_features(samples: NDArray[Any], text: Text) -> NDArray[np.float64]:
    """Points of texts.

    Args:
        samples: Tokens `(N, length)`.
        text: What they mean.

    Returns:
        `(N, BUCKETS + 1)`: the square roots of the buckets' shares, with a sign by the token, and
        the logarithm of the number of tokens.
    """
    tokens = np.asarray(samples, dtype=np.int64).reshape(len(samples), -1)
    real = tokens != text.padding_id
    mixed = (tokens.astype(np.uint64) + np.uint64(1)) * _MIX
    bucket = (mixed >> np.uint64(33)) % np.uint64(BUCKETS)
    sign = np.where((mixed >> np.uint64(20)) & np.uint64(1), 1.0, -1.0)
    rows = np.broadcast_to(np.arange(len(tokens))[:, None], tokens.shape)
    counts = np.zeros((len(tokens), BUCKETS))
    np.add.at(counts, (rows[real], bucket[real].astype(np.int64)), sign[real])
    length = np.maximum(real.sum(axis=1), 1)[:, None]
    shares = np.sign(counts) * np.sqrt(np.abs(counts) / length)
    # As far apart as points of other spaces are: the kernel's width is by dimensions.
    return np.asarray(np.sqrt(BUCKETS) * np.concatenate([shares, 0.1 * np.log(length)], axis=1))
