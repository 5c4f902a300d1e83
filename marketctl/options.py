"""Sets of options as frozen dataclasses, which Typer itself does not know."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard, get_type_hints


def flattened(function: Callable[..., None]) -> Callable[..., None]:
    """Returns a function for Typer: each field of a dataclass parameter is an option of its own.

    Args:
        function: Its parameters are annotated for Typer, or have a dataclass as their type whose
            fields are.
    """
    hints = get_type_hints(function, include_extras=True)
    given = list(inspect.signature(function).parameters.values())

    def call(**values: Any) -> None:  # noqa: ANN401
        function(**{parameter.name: _value(parameter, hints, values) for parameter in given})

    parameters = [
        option for parameter in given for option in _options(parameter, hints[parameter.name])
    ]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__name__ = function.__name__
    call.__doc__ = function.__doc__
    return call


def _value(parameter: inspect.Parameter, hints: dict[str, Any], values: dict[str, Any]) -> Any:  # noqa: ANN401
    kind = hints[parameter.name]
    if not _is_group(kind):
        return values[parameter.name]
    return kind(**{field.name: values[field.name] for field in dataclasses.fields(kind)})


def _options(parameter: inspect.Parameter, kind: Any) -> Iterator[inspect.Parameter]:  # noqa: ANN401
    if not _is_group(kind):
        yield parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)
        return
    types = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if required else field.default,
            annotation=types[field.name],
        )


def _is_group(kind: Any) -> TypeGuard[type]:  # noqa: ANN401
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)
