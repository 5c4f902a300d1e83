"""Two small models of digits to clone between."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.demo.digits import split_digits
from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.serialise import to_bytes
from packer_svc.cloning.choice import Cloning
from packer_svc.fusion.samples import PackSamples, SampleBlock
from tests.helpers.digit_models import digit_model

TARGET, SOURCE = (0, 1, 2), (4, 5)


def whole(digits: tuple[int, ...], width: int) -> bytes:
    """All of a model of digits, with the outputs of a fragment."""
    model = normalise(load_model(digit_model(digits, width=width).graph))
    return to_bytes(as_fragment(model, find_classifier(model)))


def samples_of(digits: tuple[int, ...]) -> PackSamples:
    """The market's samples of some digits, labelled by their place."""
    found = split_digits(0).market.only(digits)
    return PackSamples.of(
        [
            SampleBlock({"image": found.images[found.labels == place]}, place, str(place))
            for place in range(len(digits))
        ]
    )


@pytest.fixture(scope="session")
def cloning() -> Cloning:
    """The digit 5 of a wider model cloned into one of 0, 1 and 2."""
    samples = samples_of((*TARGET, 5))
    return Cloning(whole(TARGET, 4), whole(SOURCE, 8), samples, len(TARGET), (1,), seed=0)


@pytest.fixture(scope="session")
def unseen() -> tuple[np.ndarray, np.ndarray]:
    """Digits that nothing has seen, labelled as the clone labels them."""
    found = split_digits(0).test.only((*TARGET, 5))
    return found.images, found.labels
