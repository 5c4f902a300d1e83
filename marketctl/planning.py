"""Having plans made, one or several."""

from __future__ import annotations

from collections.abc import Sequence

from sliceandpack.slicer.v1 import models_pb2, plans_pb2

from marketctl.columns import last
from marketctl.fronts import columns_of
from marketctl.session import Session


async def planned(
    session: Session, model: str, recipe: plans_pb2.Recipe, interrupted: str = ""
) -> plans_pb2.Plan:
    """Has a plan made.

    Args:
        session: Where the slicer is.
        model: The model's full name.
        recipe: What is asked for.
        interrupted: What whoever stops waiting is told beside how to go on.

    Raises:
        ServiceError: The plan cannot be made.
    """
    request = models_pb2.CreatePlanRequest(parent=model, plan=plans_pb2.Plan(recipe=recipe))
    call = session.models.CreatePlan(request)
    title = f"Planning {last(model)}"
    return await session.result(session.slicer, call, plans_pb2.Plan, title, interrupted)


async def print_planned_front(
    session: Session, model: str, recipes: Sequence[plans_pb2.Recipe]
) -> Sequence[plans_pb2.Plan]:
    """Has a plan made for each of several recipes and prints what they cost and predict.

    Args:
        session: Where the slicer is, and where to print.
        model: The model's full name.
        recipes: What is asked for, one after the other.

    Raises:
        ServiceError: One of them cannot be made; those before it are printed all the same.
    """
    plans: list[plans_pb2.Plan] = []
    try:
        for recipe in recipes:
            plan = await planned(session, model, recipe)
            plans.append(plan)
    finally:
        if plans:
            session.printer.many(plans, columns_of(plans))
    return plans
