"""The messages between a pool and its workers: JSON objects, each behind its length.

A pool sends a *job* (``entry``, ``request``, ``limits``); the worker answers with any number of
*progress* frames and then one *outcome*. Four bytes, big-endian, hold a frame's length in bytes.
"""

import json
from collections.abc import Callable
from typing import Any, Final

JsonObject = dict[str, Any]
"""A JSON object: text keys; text, numbers, booleans, null, lists and objects as values."""

HEADER_BYTES: Final = 4
"""The size of the length in front of a frame."""

MAX_FRAME_BYTES: Final = 16 * 2**20
"""The largest frame: what is bigger travels as a file, by its path."""


class FrameError(Exception):
    """The other side sent something that is no frame, or something is too large for one."""


def encode(body: JsonObject) -> bytes:
    """Returns a frame.

    Raises:
        FrameError: `body` is not JSON (such as NaN or an array) or too large.
    """
    try:
        data = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise FrameError(f"not JSON: {error}") from error
    if len(data) > MAX_FRAME_BYTES:
        raise FrameError(f"{len(data)} bytes are too many for a frame: pass a file by its path")
    return len(data).to_bytes(HEADER_BYTES, "big") + data


def length(header: bytes) -> int:
    """Returns the length that a header announces.

    Raises:
        FrameError: It is larger than a frame may be.
    """
    size = int.from_bytes(header, "big")
    if size > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {size} bytes was announced")
    return size


def decode(data: bytes) -> JsonObject:
    """Returns the object in a frame without its header.

    Raises:
        FrameError: It holds no JSON object.
    """
    try:
        body = json.loads(data)
    except ValueError as error:
        raise FrameError(f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise FrameError("not a JSON object")
    return body


def read(receive: Callable[[int], bytes]) -> JsonObject | None:
    """Returns the next frame of a blocking stream, or None at its end.

    Args:
        receive: Returns at most so many bytes, none at the end, like ``socket.recv``.

    Raises:
        FrameError: The stream ends within a frame, or holds something else.
    """
    header = _exactly(receive, HEADER_BYTES)
    if not header:
        return None
    return decode(_exactly(receive, length(header)))


def _exactly(receive: Callable[[int], bytes], count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = receive(count - len(data))
        if not piece and data:
            raise FrameError("the stream ended within a frame")
        if not piece:
            break
        data += piece
    return bytes(data)
