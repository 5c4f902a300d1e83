"""How a job ended, in the worker's words: its result, or what was raised.

An outcome is an object whose ``kind`` is *result* (``result``), *domain* (``reason``, ``message``,
``advice``, ``metadata``), *limit* (``limit``: memory, file_size or storage) or *fault*
(``traceback``, for the log alone).
"""

import errno
import traceback
from collections.abc import Iterator, Mapping
from typing import Final

from svckit.workers.frames import JsonObject

_TRACEBACK_CHARACTERS: Final = 16_000

# What native allocators say in exceptions that are no MemoryError: torch's CPU allocator, ONNX
# Runtime's arena, and C++ itself.
_NO_MEMORY: Final = (
    "can't allocate memory",
    "not enough memory",
    "Failed to allocate memory",
    "bad_alloc",
    "bad allocation",
)
_LIMIT_OF_ERRNO: Final = {
    errno.ENOMEM: "memory",
    errno.EFBIG: "file_size",
    errno.ENOSPC: "storage",
    errno.EDQUOT: "storage",
}


def result(value: JsonObject) -> JsonObject:
    """Returns the outcome of a job that succeeded."""
    return {"kind": "result", "result": value}


def failure(error: BaseException) -> JsonObject:
    """Returns the outcome of a job that raised.

    An exception of a pure library, one that has a reason, a message, advice and metadata, crosses
    as it is; one that stands for a limit by the limit's name; any other by its traceback.
    """
    domain = _domain(error)
    if domain is not None:
        return domain
    for cause in _chain(error):
        limit = _limit(cause)
        if limit is not None:
            return {"kind": "limit", "limit": limit}
    text = "".join(traceback.format_exception(error))
    return {"kind": "fault", "traceback": text[-_TRACEBACK_CHARACTERS:]}


def _domain(error: BaseException) -> JsonObject | None:
    texts = {key: getattr(error, key, None) for key in ("reason", "message", "advice")}
    metadata = getattr(error, "metadata", None)
    if not all(isinstance(text, str) for text in texts.values()):
        return None
    if not isinstance(metadata, Mapping):
        return None
    pairs = {str(key): str(value) for key, value in metadata.items()}
    return {"kind": "domain", **{key: str(text) for key, text in texts.items()}, "metadata": pairs}


def _limit(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, OSError):
        return _LIMIT_OF_ERRNO.get(error.errno or 0)
    if any(sign in str(error) for sign in _NO_MEMORY):
        return "memory"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an exception and what it was raised from, without going in circles."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
