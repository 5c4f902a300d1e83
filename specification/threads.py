"""Products in the thread that asks for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

# It looks for what is loaded already.
import numpy as np  # noqa: F401
from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
T = TypeVar("T")


def in_one_thread(work: Callable[P, T]) -> Callable[P, T]:
    """Makes a function compute in no thread but its caller's.

    OpenBLAS divides even products that take microseconds among threads which wait for each other
    by turning in circles. Beside a server's calls, or any other process that wants the processor,
    that makes them up to a hundred times as slow.
    """

    @wraps(work)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with _libraries().limit(limits=1):
            return work(*args, **kwargs)

    return limited


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
