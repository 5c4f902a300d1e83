"""What tests ask of an error that a service sends."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Any

import pytest

from svckit.errors import ServiceError


async def refusal_of(call: Awaitable[Any]) -> ServiceError:
    """The error of a call or operation that has to fail; it has to say what to do about it."""
    with pytest.raises(ServiceError) as caught:
        await call
    error = caught.value
    assert re.fullmatch(r"[A-Z].*[^.]\.", error.advice), f"no sentence: {error.advice!r}"
    return error


def facts(error: ServiceError) -> tuple[str, str]:
    """The canonical code and the reason of an error, by their names."""
    return error.code.name, error.reason_name
