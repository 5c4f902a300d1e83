"""Blocks and sets of alike blocks."""

import numpy as np
import pytest

from packer_svc.reassembly.sets import Market, equivalence_sets, size_limit
from packer_svc.reassembly.similarity import linear_cka

EVEN = (10,) * 8


def features(points: int, seed: int) -> list[np.ndarray]:
    """Features that change slowly from cut point to cut point."""
    random = np.random.default_rng(seed)
    found = [random.standard_normal((30, 6))]
    for _ in range(points - 1):
        found.append(found[-1] + 0.4 * random.standard_normal((30, 6)))
    return found


def test_equal_models_are_cut_alike_and_share_sets() -> None:
    one = features(9, 0)
    cover = equivalence_sets(Market([EVEN, EVEN, EVEN], linear_cka(one * 3)), 4, seed=0)
    by_model = [[b for b in cover.blocks if b.model == model] for model in range(3)]
    cuts = {tuple((b.first, b.end, b.group) for b in blocks) for blocks in by_model}
    assert len(cuts) == 1
    assert cover.similarity == pytest.approx(2 * len(cover.blocks))


def test_every_model_has_a_block_in_every_set_and_every_block_is_small_enough() -> None:
    sizes = [EVEN, (5, 40, 5, 5, 5, 20), (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)]
    points = [one for seed, size in enumerate(sizes) for one in features(len(size) + 1, seed)]
    cover = equivalence_sets(Market(sizes, linear_cka(points)), 4, seed=1)
    for model, size in enumerate(sizes):
        blocks = [b for b in cover.blocks if b.model == model]
        assert {b.group for b in blocks} == set(range(4))
        assert [b.first for b in blocks] == [0, *[b.end for b in blocks[:-1]]]
        assert blocks[-1].end == len(size)
        limit = size_limit(size, 4)
        assert limit is not None
        assert max(sum(size[b.first : b.end]) for b in blocks) <= limit * (1 + 1e-9)


def test_more_beginnings_are_never_worse_and_a_seed_gives_the_same_sets() -> None:
    sizes = [EVEN] * 5
    points = [one for seed in range(5) for one in features(9, seed)]
    market = Market(sizes, linear_cka(points))
    few, many = (equivalence_sets(market, 3, 4, restarts=count) for count in (1, 12))
    assert many.similarity >= few.similarity
    assert equivalence_sets(market, 3, 4, restarts=12) == many


@pytest.mark.parametrize(
    ("sizes", "blocks", "limit"),
    [
        ((10, 10, 10, 10), 4, 12.0),
        ((1, 1, 1, 97), 4, 97.0),
        ((20, 20, 20, 20, 20), 4, 40.0),
        ((1, 1, 1), 4, None),
    ],
)
def test_the_size_limit_gives_way_only_where_no_cut_keeps_to_it(
    sizes: tuple[int, ...], blocks: int, limit: float | None
) -> None:
    assert size_limit(sizes, blocks) == (None if limit is None else pytest.approx(limit))


def test_a_model_of_too_few_pieces_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer pieces"):
        equivalence_sets(Market([(1, 2)], np.eye(3)), 3, seed=0)


def test_similarity_does_not_mind_rotation_and_scale_but_minds_content() -> None:
    random = np.random.default_rng(0)
    one, other = random.standard_normal((40, 5)), random.standard_normal((40, 5))
    turn, _ = np.linalg.qr(random.standard_normal((5, 5)))
    cka = linear_cka([one, 1e9 * one @ turn, other, np.ones((40, 2)), one[:, :3]])
    assert cka[0, 1] == pytest.approx(1.0)
    assert cka[0, 2] < 0.5
    assert cka[3].max() == 0.0
    assert 0.5 < cka[0, 4] < 1.0
