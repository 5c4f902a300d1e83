"""Having plans made, one or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.slicer.v1 import models_pb2, plans_pb2

from marketctl.columns import last
from marketctl.fronts import columns_of, draw_front
from marketctl.session import Session
from svckit.artifacts.threads import in_thread
from svckit.clients.patience import answer
from svckit.errors import InvalidArgument


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
    call = session.models.CreatePlan(_request(model, recipe))
    title = f"Planning {last(model)}"
    return await session.result(session.slicer, call, plans_pb2.Plan, title, interrupted)


async def print_front(
    session: Session, model: str, recipes: Sequence[plans_pb2.Recipe], picture: Path | None
) -> None:
    """Has a plan made for each of several recipes; prints, and draws, what they cost and predict.

    Args:
        session: Where the slicer is, and where to print.
        model: The model's full name.
        recipes: What is asked for, one after the other.
        picture: Where to draw it, if anywhere.

    Raises:
        ServiceError: One of them cannot be made. Where that is because its budget cannot be
            reached, the others are made, printed and drawn all the same.
    """
    for recipe in recipes:  # One that is wrong is refused before another costs time.
        await answer(session.models.CreatePlan(_request(model, recipe, validate_only=True)))
    plans: list[plans_pb2.Plan] = []
    refused: InvalidArgument | None = None
    for recipe in recipes:
        try:
            plan = await planned(session, model, recipe)
        except InvalidArgument as error:
            if error.reason != reasons.ERROR_REASON_BUDGET_UNREACHABLE:
                raise
            refused = error
        else:
            plans.append(plan)
    if plans:
        session.printer.many(plans, columns_of(plans))
    if plans and picture is not None:
        await in_thread(draw_front, plans, picture)
        session.printer.note(f"The front is drawn in {picture}.")
    if refused is not None:
        raise refused


def _request(
    model: str, recipe: plans_pb2.Recipe, *, validate_only: bool = False
) -> models_pb2.CreatePlanRequest:
    plan = plans_pb2.Plan(recipe=recipe)
    return models_pb2.CreatePlanRequest(parent=model, plan=plan, validate_only=validate_only)
