"""Sets of options as frozen dataclasses, which Typer itself does not know."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeGuard, get_args, get_origin, get_type_hints


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
        option.replace(annotation=_flag(option.annotation))
        for parameter in given
        for option in _options(parameter, hints[parameter.name])
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


def _flag(kind: Any) -> Any:  # noqa: ANN401
    """Returns the annotation of a flag without the word for a value that it does not take."""
    if get_origin(kind) is not Annotated:
        return kind
    bare, option = get_args(kind)
    if bare is not bool:
        return kind
    option = copy.copy(option)
    option.metavar = ""
    return Annotated[bare, option]


def _is_group(kind: Any) -> TypeGuard[type]:  # noqa: ANN401
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)
