import numpy as np

from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.columns import blocks, standardise_blocks, standardise_columns
from packer_svc.fusion.heads.spec import HeadInputs


def test_constant_and_dead_columns_become_zero() -> None:
    generator = np.random.default_rng(0)
    block = generator.standard_normal((30, 4))
    block[:, 1] = 7.0
    block[:, 2] = 0.0
    block[:, 3] = 1e6 + 1e-3 * block[:, 3]
    standardised = standardise_columns([block]).apply(block)
    assert np.isfinite(standardised).all()
    assert not standardised[:, 1:].any()
    assert standardised[:, 0].std() > 0.5


def test_every_block_has_a_variance_of_one_whatever_its_width_and_scale() -> None:
    generator = np.random.default_rng(1)
    parts = [1e3 * generator.standard_normal((40, 50)), 1e-3 * generator.standard_normal((40, 3))]
    standardised = standardise_columns(parts).apply(np.concatenate(parts, axis=1))
    assert np.isclose(standardised[:, :50].var(axis=0).sum(), 1.0)
    assert np.isclose(standardised[:, 50:].var(axis=0).sum(), 1.0)
    assert np.allclose(standardised.mean(axis=0), 0.0)


def test_whole_blocks_keep_the_geometry_within_them() -> None:
    generator = np.random.default_rng(2)
    part = generator.standard_normal((20, 6)) * np.arange(1, 7) + 5.0
    standardised = standardise_blocks([part]).apply(part)
    ratio = np.linalg.norm(part[0] - part[1]) / np.linalg.norm(part[2] - part[3])
    ours = np.linalg.norm(standardised[0] - standardised[1])
    assert np.isclose(ours / np.linalg.norm(standardised[2] - standardised[3]), ratio)
    assert np.isclose(standardised.var(axis=0).mean(), 1.0)


def test_a_block_without_any_change_becomes_zero() -> None:
    part = np.full((5, 3), 2.0)
    assert not standardise_blocks([part]).apply(part).any()
    assert not standardise_columns([part]).apply(part).any()


def test_blocks_stand_in_the_order_features_then_scores_by_fragment() -> None:
    fragments = [
        FragmentFeatures(np.full((2, 1), i, np.float32), np.full((2, 2), -i, np.float32))
        for i in (1, 2)
    ]
    both = np.concatenate(blocks(fragments, HeadInputs.BOTH), axis=1)
    assert both[0].tolist() == [1, -1, -1, 2, -2, -2]
    assert np.concatenate(blocks(fragments, HeadInputs.SCORES), axis=1)[0].tolist() == [
        -1,
        -1,
        -2,
        -2,
    ]
    assert np.concatenate(blocks(fragments, HeadInputs.FEATURES), axis=1)[0].tolist() == [1, 2]
