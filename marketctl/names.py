"""Short names: ``pets`` for ``models/pets``, ``pets/cat-1`` for ``models/pets/fragments/cat-1``."""

from __future__ import annotations


def full_name(collection: str, name: str) -> str:
    """Returns the full name of a resource.

    Args:
        collection: Such as ``models``.
        name: The full name, or its last part.
    """
    return name if name.startswith(f"{collection}/") else f"{collection}/{name}"


def nested_name(child: str, name: str) -> str:
    """Returns the full name of a part of a model.

    Args:
        child: ``fragments`` or ``plans``.
        name: The full name, or ``MODEL/PART``.
    """
    model, separator, part = name.partition("/")
    if separator and model != "models" and "/" not in part:
        return f"models/{model}/{child}/{part}"
    return name


def plan_name(model: str, name: str) -> str:
    """Returns the full name of a model's plan.

    Args:
        model: The model's full name.
        name: The plan's full name, ``MODEL/PLAN``, or its last part alone.
    """
    return nested_name("plans", name) if "/" in name else f"{model}/plans/{name}"


def condition(**wanted: str | None) -> str:
    """Returns a filter (AIP-160) by equality; what is None is left out.

    Args:
        wanted: The fields with their values.
    """
    return " AND ".join(
        f'{field} = "{_escaped(value)}"' for field, value in wanted.items() if value is not None
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
