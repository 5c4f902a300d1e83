"""Specifications with noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from specification.codec import from_bytes, to_bytes
from specification.errors import SpecificationError
from specification.index import Index
from specification.labelling import Labelling
from specification.making import make
from specification.model import PrivacyRequest, Specification
from specification.privacy import noise_multiplier
from svckit.input_spec import FLOAT32, InputSpec, Tensor
from tests.specification.pictures import drawn, input_of


def private(epsilon: float, seed: int, count: int = 40) -> Specification:
    samples = np.concatenate([drawn("rows", count, seed), drawn("blues", count, seed)])
    known = Labelling(("rows", "blues"), np.repeat([0, 1], count))
    request = PrivacyRequest(epsilon, 1e-5)
    return make({"image": samples}, [input_of()], known, seed=seed, privacy=request)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_the_noise_is_the_least_that_is_private(epsilon: float) -> None:
    sigma = noise_multiplier(epsilon, 1e-5)

    def leaks(deviation: float) -> float:
        half = 1 / (2 * deviation)
        return float(
            norm.cdf(half - epsilon * deviation)
            - np.exp(epsilon) * norm.cdf(-half - epsilon * deviation)
        )

    assert leaks(sigma) <= 1e-5 * 1.001
    assert leaks(0.99 * sigma) > 1e-5


def test_what_was_promised_is_stated_and_nothing_tells_of_distances() -> None:
    found = from_bytes(to_bytes(private(4.0, 1)))
    assert found.privacy is not None
    assert (found.privacy.epsilon, found.privacy.delta) == (4.0, 1e-5)
    assert found.privacy.sensitivity == pytest.approx(2 * found.privacy.clipping / 40)
    assert found.privacy.deviation == pytest.approx(
        found.privacy.sensitivity * noise_multiplier(4.0, 1e-5)
    )
    assert found.nearest == found.bound == 0.0
    assert found.seed == 0


def test_noise_is_as_large_as_it_is_stated() -> None:
    one, other = private(1.0, 1), private(1.0, 1_000_001)
    assert one.privacy is not None
    measured = (one.points - other.points).std() / np.sqrt(2)
    assert measured == pytest.approx(one.privacy.deviation, rel=0.15)


def test_little_noise_still_finds_the_model() -> None:
    other = make(
        {"image": np.concatenate([drawn("columns", 40, 5), drawn("discs", 40, 5)])},
        [input_of()],
        Labelling(("columns", "discs"), np.repeat([0, 1], 40)),
        seed=5,
    )
    index = Index([("own", private(200.0, 2)), ("other", other)])
    found = index.models(private(200.0, 3))
    assert found.matches[0].model == "own"
    assert [one.label_name for one in found.matches[0].classes] == ["rows", "blues"]


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 0.1), (-1.0, 0.1), (1.0, 0.0), (1.0, 1.0)])
def test_a_request_that_means_nothing_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(SpecificationError, match="privacy"):
        make(
            {"image": drawn("rows", 8, 0)},
            [input_of()],
            None,
            seed=0,
            privacy=PrivacyRequest(epsilon, delta),
        )


def test_tables_get_no_noise_as_their_scale_would_tell() -> None:
    with pytest.raises(SpecificationError, match="tables"):
        make(
            {"row": np.random.default_rng(0).normal(size=(8, 2))},
            [InputSpec("row", (2,), FLOAT32, Tensor())],
            None,
            seed=0,
            privacy=PrivacyRequest(1.0, 1e-5),
        )
