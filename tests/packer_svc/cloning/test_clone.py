"""A clone made by the domain alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from onnxgraph.halves import INPUT, behind, in_front
from onnxgraph.parity import Runner
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from packer_svc.cloning import choice
from packer_svc.cloning.choice import RIDGE, Cloning, put_in
from packer_svc.cloning.distillation import distilled
from packer_svc.cloning.head import CloneHead, clone_logits, fit_clone_head, reported_clone_head
from packer_svc.cloning.masks import masked
from packer_svc.cloning.merged import merge_clone
from packer_svc.cloning.positions import INPUTS, splices
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import Fragment, FragmentFeatures
from packer_svc.fusion.stitches import Goal, Stitch, fit_quickly
from tests.packer_svc.cloning.conftest import SOURCE, samples_of, whole

LABELS = ("zero", "one", "two", "five")


def outputs(cloning: Cloning, branch: bytes) -> list[FragmentFeatures]:
    return [Fragment(graph).run(cloning.samples.inputs) for graph in (cloning.target, branch)]


def weights(graph: bytes) -> set[bytes]:
    values = from_trusted_bytes(graph).graph.initializers.values()
    return {one.const_value.numpy().tobytes() for one in values if one.const_value is not None}


def ignore(_name: str) -> None:
    """Takes no notice."""


def test_a_clone_holds_every_weight_of_its_target_bit_for_bit(cloning: Cloning) -> None:
    position = splices(from_trusted_bytes(cloning.target), from_trusted_bytes(cloning.part))[1]
    chosen = put_in(cloning, position.target.value, ignore)
    features = outputs(cloning, chosen.branch)
    head = fit_clone_head(features, cloning.samples.labels, cloning.own, cloning.places)
    merged = to_bytes(merge_clone([cloning.target, chosen.branch], head, LABELS))

    assert weights(merged) >= weights(cloning.target)
    found = Runner(merged).run(dict(cloning.samples.inputs))["probabilities"].astype(np.float64)
    np.testing.assert_allclose(found, head.probabilities(features), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)


def test_the_reference_of_the_proof_says_what_the_head_says(cloning: Cloning) -> None:
    features = outputs(cloning, cloning.part)
    head = fit_clone_head(features, cloning.samples.labels, cloning.own, cloning.places)
    reference = head.torch().probabilities(features).numpy()
    np.testing.assert_allclose(reference, head.probabilities(features), atol=1e-12)


@pytest.mark.parametrize("place", range(3))
def test_a_part_of_another_width_goes_in_at_every_position(cloning: Cloning, place: int) -> None:
    found = splices(from_trusted_bytes(cloning.target), from_trusted_bytes(cloning.part))
    assert len(found) == 3
    chosen = put_in(cloning, found[place].target.value, ignore)
    head = fit_clone_head(
        outputs(cloning, chosen.branch), cloning.samples.labels, cloning.own, cloning.places
    )
    assert chosen.adapter_parameters > 0
    merged = to_bytes(merge_clone([cloning.target, chosen.branch], head, LABELS))
    found_there = Runner(merged).run(dict(cloning.samples.inputs))["probabilities"]
    assert (found_there.argmax(axis=1) == cloning.samples.labels).mean() > 0.7


def test_positions_are_tried_from_the_last_to_the_first_and_the_inputs_always(
    cloning: Cloning, unseen: tuple[np.ndarray, np.ndarray]
) -> None:
    chosen = put_in(cloning, "", ignore)

    names = [one.position for one in chosen.tried]
    order = splices(from_trusted_bytes(cloning.target), from_trusted_bytes(cloning.part))
    assert names[:-1] == [one.target.value for one in order][: len(names) - 1]
    assert names[-1] == INPUTS
    assert chosen.position in names
    head = fit_clone_head(
        outputs(cloning, chosen.branch), cloning.samples.labels, cloning.own, cloning.places
    )
    images, labels = unseen
    shown = [Fragment(one).run({"image": images}) for one in (cloning.target, chosen.branch)]
    assert (head.probabilities(shown).argmax(axis=1) == labels).mean() > 0.9


def test_with_one_sample_of_a_class_nothing_is_chosen(cloning: Cloning) -> None:
    kept = np.flatnonzero(
        (cloning.samples.labels != 3)
        | (np.arange(len(cloning.samples.labels)) == np.flatnonzero(cloning.samples.labels == 3)[0])
    )
    samples = replace(
        cloning.samples,
        inputs={name: array[kept] for name, array in cloning.samples.inputs.items()},
        labels=cloning.samples.labels[kept],
    )
    chosen = put_in(replace(cloning, samples=samples), "", ignore)
    assert (chosen.position, chosen.tried) == (INPUTS, ())


def test_a_position_that_needs_too_much_memory_is_tried_only_if_asked_for(
    cloning: Cloning, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = splices(from_trusted_bytes(cloning.target), from_trusted_bytes(cloning.part))
    sizes = [one.held_bytes(len(cloning.samples.labels)) for one in found]
    monkeypatch.setattr(choice, "MOST_HELD", sorted(sizes)[1])
    tried = {one.position for one in put_in(cloning, "", ignore).tried}
    largest = found[sizes.index(max(sizes))].target.value
    assert tried
    assert largest not in tried
    assert put_in(cloning, largest, ignore).position == largest


def test_an_unknown_position_is_refused_with_those_that_there_are(cloning: Cloning) -> None:
    with pytest.raises(FusionError) as refused:
        put_in(cloning, "nowhere", ignore)
    assert refused.value.reason is FusionReason.CLONE_POSITION_UNKNOWN
    assert "inputs" in refused.value.metadata["positions"]


def test_without_cloned_classes_the_target_answers_alone(cloning: Cloning) -> None:
    own = cloning.samples.labels < cloning.own
    images = cloning.samples.inputs["image"][own]
    features = [Fragment(cloning.target).run({"image": images})]
    labels = cloning.samples.labels[own]
    head, told = reported_clone_head(features, labels, CloneHead(cloning.own, (), None), seed=0)

    scores = features[0].scores
    assert (clone_logits(head, features).argmax(axis=1) == scores.argmax(axis=1)).all()
    assert told.in_sample_accuracy == (scores.argmax(axis=1) == labels).mean()
    merged = to_bytes(merge_clone([cloning.target], head, LABELS[:3]))
    found = Runner(merged).run({"image": images})["probabilities"].astype(np.float64)
    np.testing.assert_allclose(found, head.probabilities(features), atol=1e-6)


def test_an_adapter_finds_a_linear_map_again() -> None:
    random = np.random.default_rng(0)
    read = random.normal(size=(40, 3, 4, 4)).astype(np.float32)
    matrix, offset = random.normal(size=(3, 5)), random.normal(size=5)
    wanted = np.moveaxis(np.moveaxis(read, 1, -1) @ matrix + offset, -1, 1).astype(np.float32)
    adapter = fit_quickly(torch.from_numpy(read), Goal.of(torch.from_numpy(wanted)), ridge=RIDGE)

    np.testing.assert_allclose(adapter.weight, matrix.T, atol=1e-2)
    np.testing.assert_allclose(adapter(torch.from_numpy(read)), wanted, atol=2e-2)
    assert not adapter.rectified


def test_masks_keep_what_a_class_needs_and_no_weight_changes() -> None:
    source, samples = whole(SOURCE, 8), samples_of(SOURCE)
    found = masked(source, samples, (1,), seed=0)
    again = masked(source, samples, (1,), seed=0)

    assert found.kept is not None
    assert all(0 < stay <= units for stay, units in found.kept.values())
    assert again.graph == found.graph
    named = Fragment(found.graph).run(samples.inputs).scores.argmax(axis=1)
    assert (named == samples.labels).mean() > 0.9


def test_a_distilled_adapter_says_more_of_what_the_source_says(cloning: Cloning) -> None:
    target, part = from_trusted_bytes(cloning.target), from_trusted_bytes(cloning.part)
    splice = splices(target, part)[-1]
    inputs = cloning.samples.inputs
    read = Runner(to_bytes(in_front(target, splice.target))).run(dict(inputs))
    wanted = Runner(to_bytes(in_front(part, splice.part))).run(dict(inputs))
    shown = torch.from_numpy(read[splice.target.value].astype(np.float32))
    goal = Goal.of(torch.from_numpy(wanted[splice.part.value].astype(np.float32)), 10**6)
    start = fit_quickly(shown, goal, ridge=RIDGE)
    rest, whole_part = behind(part, splice.part), Fragment(cloning.part).run(inputs)
    trained = distilled(start, rest, shown, whole_part, seed=0)

    def error(adapter: Stitch) -> float:
        fed = adapter(shown).numpy()
        found = Runner(to_bytes(rest)).run({INPUT: fed})["features"].astype(np.float64)
        return float(((found - whole_part.features) ** 2).mean())

    assert error(trained) < error(start)
