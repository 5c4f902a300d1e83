import json
from typing import Any

import numpy as np
import pytest

from onnxgraph.cost import cost
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.fragments import slice_classes
from slicer_svc.slicing.plan import Plan
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.progress import Progress
from slicer_svc.slicing.recipe import Method, Recipe
from tests.helpers.small_classifiers import CHAIN, RESIDUAL, images, model_of

VIEWS = Augmentation(images=("x",), pad=1)


def plan_of(text: str = CHAIN, *, curves: Any = None, **recipe: Any) -> Plan:
    return make_plan(model_of(text), images(6), Recipe(**recipe), augment=VIEWS, curves=curves)


def test_by_rate_every_group_keeps_beta_of_its_units_rounded_up() -> None:
    plan = plan_of(beta=0.4)
    assert [group.kept for group in plan.groups] == [3, 4, 4]
    assert [group.units for group in plan.groups] == [6, 8, 10]


def test_without_beta_and_budget_half_of_the_units_stay() -> None:
    assert [group.kept for group in plan_of(RESIDUAL).groups] == [3, 4]


def test_a_plan_says_exactly_what_its_fragments_cost() -> None:
    model, samples = model_of(RESIDUAL), images(4)
    plan = make_plan(model, samples, Recipe(beta=0.3), augment=VIEWS)
    (fragment,) = slice_classes(model, samples, plan, [1], augment=VIEWS)
    whole = cost(model)
    assert (plan.parameters_before, plan.macs_before) == (whole.parameters, whole.macs)
    assert plan.bytes_before == whole.bytes
    after = (plan.parameters_after, plan.macs_after, plan.bytes_after)
    assert after == (fragment.cost.parameters, fragment.cost.macs, fragment.cost.bytes)


@pytest.mark.parametrize("budget", ["budget_params", "budget_macs"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_budget_holds_and_is_nearly_used_up(budget: str, share: float) -> None:
    recipe: dict[str, Any] = {budget: share}
    plan = plan_of(**recipe)
    spent = {
        "budget_params": plan.parameters_after / plan.parameters_before,
        "budget_macs": plan.macs_after / plan.macs_before,
    }[budget]
    assert 0.6 * share < spent <= share


def test_an_unreachable_budget_is_refused() -> None:
    with pytest.raises(SlicingError) as caught:
        plan_of(budget_params=1e-4)
    assert caught.value.reason is SlicingReason.BUDGET_UNREACHABLE


def test_curves_fall_and_say_little_error_for_nearly_whole_groups() -> None:
    for curve in plan_of(RESIDUAL).curves:
        assert list(curve.errors) == sorted(curve.errors, reverse=True)
        assert curve.errors[-1] < 0.1 * curve.errors[0]
        assert len(curve.kept) == len(curve.errors)


def test_a_group_that_nobody_needs_has_a_flat_curve() -> None:
    useless = np.zeros((8, 6, 3, 3), dtype=np.float32)
    plan = make_plan(model_of(CHAIN, w1=useless), images(6), Recipe(), augment=VIEWS)
    assert max(plan.curves[0].errors) < 1e-9


def test_kept_curves_make_a_new_plan_without_the_samples_being_run() -> None:
    first = plan_of(beta=0.5)
    seen: list[Progress] = []
    again = make_plan(
        model_of(CHAIN),
        images(1, seed=9),
        Recipe(budget_macs=0.5),
        augment=VIEWS,
        curves=first.curves,
        report=seen.append,
    )
    assert not seen
    assert again.curves == first.curves
    assert again == plan_of(budget_macs=0.5)


def test_curves_of_another_model_are_refused() -> None:
    with pytest.raises(SlicingError) as caught:
        plan_of(CHAIN, curves=plan_of(RESIDUAL).curves)
    assert caught.value.reason is SlicingReason.FIELD_INVALID


def test_a_threshold_expects_between_one_unit_and_all_of_them() -> None:
    plan = plan_of(method=Method.THRESHOLD, beta=0.5)
    assert all(1 <= group.kept <= group.units for group in plan.groups)
    fewer = plan_of(method=Method.THRESHOLD, beta=0.1)
    assert sum(fewer.kept.values()) < sum(plan.kept.values())


def test_a_measured_plan_survives_json() -> None:
    plan = plan_of(RESIDUAL)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_progress_counts_every_layer_once() -> None:
    seen: list[Progress] = []
    make_plan(model_of(CHAIN), images(4), Recipe(), augment=VIEWS, report=seen.append)
    assert [progress.done for progress in seen] == list(range(1, len(seen) + 1))
    assert {progress.total for progress in seen} == {len(seen)}
    assert [progress.phase for progress in seen] == ["measure"] * 3 + ["curves"] * 3


def test_whole_parts_are_named_with_their_reason() -> None:
    (part,) = plan_of(CHAIN).whole
    assert part.nodes
    assert part.reason
