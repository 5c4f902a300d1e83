"""Real networks, cut, chosen, stitched and written as one graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from onnxgraph.cost import cost
from onnxgraph.errors import GraphError
from onnxgraph.serialise import to_bytes
from packer_svc.fusion.errors import FusionError
from packer_svc.fusion.features import fragment_features
from packer_svc.reassembly.cutting import CutModel, cut
from packer_svc.reassembly.network import stitched
from packer_svc.reassembly.probes import left_unexplained
from packer_svc.reassembly.program import Program
from packer_svc.reassembly.reassemble import (
    MACS,
    PARAMETERS,
    Reassembled,
    UnreachableError,
    Wish,
    can_be_cut,
    head_weights,
    reassemble,
)
from packer_svc.reassembly.sets import Block
from packer_svc.reassembly.training import trained
from packer_svc.reassembly.views import Pictures, with_views
from tests.helpers.graph_texts import CONVOLUTION, DENSE, parse
from tests.packer_svc.reassembly.networks import CLASSES, plain, residual, samples, transformer

INPUTS, LABELS = samples(36, 1)
OTHERS, _ = samples(60, 2)


def market() -> list[CutModel]:
    return [plain(4, 0), plain(8, 1), residual(4, 0), residual(6, 1)]


def made(budgets: Mapping[str, float], models: list[CutModel] | None = None) -> Reassembled:
    wish = Wish(INPUTS, LABELS, CLASSES, OTHERS, budgets, blocks=3)
    return reassemble(models or market(), wish, lambda *_: None)


def test_pieces_lie_between_layers_and_share_out_all_that_a_model_has() -> None:
    for model in market():
        whole = cost(model.graph)
        assert model.parameters == whole.parameters
        assert model.macs == whole.macs
        assert [one.start for one in model.pieces[1:]] == [one.end for one in model.pieces[:-1]]
        assert model.pieces[-1].end == "scores"
    # Four convolutions, the dense layer behind its Flatten; no cut between the two.
    assert len(plain(4, 0).pieces) == 5
    # No cut inside of a residual block.
    assert len(residual(4, 0).pieces) == 5


def test_a_model_that_makes_no_number_of_the_samples_is_refused() -> None:
    roots = parse(DENSE.replace("Relu (hidden)", "Sqrt (hidden)"))
    with pytest.raises(GraphError) as refused:
        cut("roots", roots.SerializeToString(), {"x": -np.ones((70, 4), np.float32)})
    assert refused.value.reason == "GRAPH_NOT_FINITE"


def test_of_large_samples_few_run_at_once() -> None:
    graph = parse(CONVOLUTION.replace("6, 6]", "1024, 1024]")).SerializeToString()
    x = np.random.default_rng(0).standard_normal((3, 2, 1024, 1024)).astype(np.float32)
    model = cut("large", graph, {"x": x[:1]})
    rows: list[int] = []

    def keep(_name: str, tensor: torch.Tensor) -> torch.Tensor:
        rows.append(len(tensor))
        return tensor

    found = model.run({"x": x}, ["scores"], reduce=keep)["scores"]
    assert rows == [1, 1, 1]
    assert found.shape == (3, 3)


def test_a_model_in_pieces_is_the_model() -> None:
    model = residual(6, 1)
    blocks = [Block(0, 0, 2, 0, 0), Block(0, 2, 3, 1, 1), Block(0, 3, 5, 2, 2)]
    network = stitched([model], blocks, INPUTS, {})
    assert network.stitches == (None, None, None)
    expected = fragment_features(to_bytes(model.graph), INPUTS)
    for found in (
        network.features(INPUTS),
        fragment_features(to_bytes(network.graph()), INPUTS),
    ):
        np.testing.assert_allclose(found.features, expected.features, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-5)
    assert cost(network.graph()).parameters == model.parameters


def test_the_graph_of_a_stitched_network_computes_what_was_judged() -> None:
    models = market()
    blocks = [Block(1, 0, 2, 0, 0), Block(2, 2, 4, 1, 1), Block(0, 3, 5, 2, 2)]
    values = {
        (b.model, b.first): models[b.model].run(INPUTS, [models[b.model].pieces[b.first].start])
        for b in blocks[1:]
    }
    wanted = {key: next(iter(found.values())) for key, found in values.items()}
    network = stitched(models, blocks, INPUTS, wanted)
    graph = network.graph()
    expected, found = network.features(INPUTS), fragment_features(to_bytes(graph), INPUTS)
    np.testing.assert_allclose(found.features, expected.features, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-3, atol=1e-4)
    counted = cost(graph)
    assert (counted.parameters, counted.macs) == (network.parameters, network.macs)


def test_the_network_keeps_to_its_budgets_and_the_optimum_is_proven() -> None:
    free = made({})
    assert free.kept.optimum.gap == 0.0
    budgets = {PARAMETERS: 3_000.0, MACS: 150_000.0}
    found = made(budgets)
    last = found.network.models[found.network.blocks[-1].model]
    head = head_weights(last, CLASSES)
    assert found.network.parameters + head <= budgets[PARAMETERS]
    assert found.network.macs + head <= budgets[MACS]
    assert found.judged[0].optimum.score <= free.judged[0].optimum.score + 1e-7
    assert all(
        a.optimum.score >= b.optimum.score - 1e-6
        for a, b in zip(found.judged, found.judged[1:], strict=False)
    )
    assert found.kept.log_loss == min(one.log_loss for one in found.judged)


def test_the_same_wish_gives_the_same_network() -> None:
    one, other = made({PARAMETERS: 9_000.0}), made({PARAMETERS: 9_000.0})
    assert one.network.blocks == other.network.blocks
    assert to_bytes(one.network.graph()) == to_bytes(other.network.graph())


def test_budgets_that_nothing_meets_are_said_with_the_smallest_that_can_be_met() -> None:
    with pytest.raises(UnreachableError) as caught:
        made({PARAMETERS: 10.0})
    least = caught.value.least
    assert least[PARAMETERS] <= min(m.parameters + head_weights(m, CLASSES) for m in market())
    assert made(least).network.parameters < least[PARAMETERS]


def test_a_choice_that_is_not_found_in_time_is_said_to_be_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(*_: object, **__: object) -> None:
        raise TimeoutError("no choice of blocks was found in 30 s")

    monkeypatch.setattr(Program, "best", late)
    with pytest.raises(FusionError) as refused:
        made({PARAMETERS: 9_000.0})
    assert refused.value.reason == "DEADLINE_EXCEEDED"


def test_two_models_of_identical_weights_are_no_obstacle() -> None:
    found = made({}, [plain(4, 0), plain(4, 0), residual(4, 0)])
    assert found.kept.optimum.gap == 0.0
    assert np.isfinite(found.kept.log_loss)


def test_one_model_is_reassembled_to_itself() -> None:
    found = made({}, [plain(4, 0)])
    assert found.network.stitches == (None, None, None)
    assert len(found.judged) == 1


def test_tokens_are_joined_with_tokens_and_never_with_maps() -> None:
    models = [plain(4, 0), transformer(0), transformer(1)]
    found = made({}, models)
    kinds = {"plain": 0, "transformer": 0}
    for one in found.judged:
        names = {models[block.model].name.partition("-")[0] for block in one.network.blocks}
        assert len(names) == 1
        kinds[names.pop()] += 1
    assert kinds["plain"] == 1
    mixed = [one for one in found.judged if any(one.network.stitches)]
    assert mixed
    graph, network = to_bytes(mixed[0].network.graph()), mixed[0].network
    np.testing.assert_allclose(
        fragment_features(graph, INPUTS).features,
        network.features(INPUTS).features,
        rtol=1e-3,
        atol=1e-4,
    )


def test_models_of_too_few_pieces_are_known_beforehand() -> None:
    assert can_be_cut(plain(4, 0), 5)
    assert not can_be_cut(plain(4, 0), 6)


def test_training_changes_stitches_alone_and_lowers_the_loss_it_is_trained_for() -> None:
    models = [plain(4, 0), residual(6, 1)]
    blocks = [Block(0, 0, 2, 0, 0), Block(1, 2, 4, 1, 1), Block(1, 4, 5, 2, 2)]
    point = models[1].pieces[2].start
    wanted = {(1, 2): models[1].run(INPUTS, [point])[point]}
    network = stitched(models, blocks, INPUTS, wanted)
    wish = Wish(INPUTS, LABELS, CLASSES)
    told: list[tuple[int, int]] = []
    after = trained(network, wish, 300, lambda done, of: told.append((done, of)))
    assert told == [(done, 300) for done in range(0, 300, 50)]
    assert after.blocks == network.blocks
    assert after.stitches[0] is None
    assert after.stitches[2] is None
    before = left_unexplained(network.features(INPUTS).features.astype(float), LABELS)
    assert left_unexplained(after.features(INPUTS).features.astype(float), LABELS) < before
    assert not np.array_equal(after.stitches[1].weight, network.stitches[1].weight)  # type: ignore[union-attr]
    assert trained(network, wish, 5, lambda *_: None).stitches[1].bias.tolist() == (  # type: ignore[union-attr]
        trained(network, wish, 5, lambda *_: None).stitches[1].bias.tolist()  # type: ignore[union-attr]
    )


def test_probes_tell_features_that_know_the_classes_from_those_that_do_not() -> None:
    random = np.random.default_rng(0)
    noise = random.standard_normal((60, 10))
    labels = np.arange(60) % 3
    known = noise + 5 * np.eye(10)[labels]
    assert left_unexplained(known, labels) < 0.3
    assert left_unexplained(noise, labels) > 0.8
    assert left_unexplained(np.ones((60, 2)), labels) == 1.0


def test_views_stay_beside_their_samples_and_mirror_only_what_may_be() -> None:
    images = np.arange(2 * 3 * 8 * 8, dtype=np.float32).reshape(2, 3, 8, 8)
    found = with_views({"image": images}, {"image": Pictures(False, False)}, 0)["image"]
    assert found.shape == (16, 3, 8, 8)
    np.testing.assert_array_equal(found[[0, 8]], images)
    assert (np.diff(found, axis=3) >= 0).all()
    mirrored = with_views({"image": images}, {"image": Pictures(False, True)}, 0)["image"]
    assert (np.diff(mirrored, axis=3) < 0).any()
    last = with_views({"image": images.transpose(0, 2, 3, 1)}, {"image": Pictures(True, True)}, 0)
    np.testing.assert_array_equal(last["image"].transpose(0, 3, 1, 2), mirrored)
    assert with_views({"x": images}, {}, 0)["x"] is images
