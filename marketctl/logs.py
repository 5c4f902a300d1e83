"""Follows the logs of processes for what a person must see."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

_CHUNK_BYTES = 2**20
_LINES = 20
# What is no error, and yet nothing to pass over: requests failed in between.
_NEWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "triton_died": "Triton died; it is started again.",
        "triton_restarted": "Triton was started again, and loads what it served.",
    }
)
# How Triton marks the lines that are no errors: I1121 18:00:00.123456 …
_CALM = re.compile(r"[IWV]\d{4} \d\d:\d\d:\d\d")


class LogTail:
    """Reads what was added to a log since the last look.

    Args:
        path: The log; it need not be there yet. What it has so far is passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def news(self) -> list[str]:
        """Returns what new lines tell of errors and restarts, a line each, not too many at once."""
        lines = [
            text for line in self._new_lines() if (text := news_text(line) or error_text(line))
        ]
        if len(lines) > _LINES:
            return [*lines[:_LINES], f"… and {len(lines) - _LINES} more lines in {self._path}"]
        return lines

    def _new_lines(self) -> list[str]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            data = stream.read(_CHUNK_BYTES)
        # A line that is still being written is for the next look.
        whole = data[: data.rfind(b"\n") + 1] or (data if len(data) == _CHUNK_BYTES else b"")
        self._offset += len(whole)
        return whole.decode(errors="replace").splitlines()


def news_text(line: str) -> str:
    """Returns what a line of a log tells of a restart within a process; empty if nothing.

    Args:
        line: One of our JSON lines, or any other.
    """
    try:
        entry = json.loads(line)
    except ValueError:
        return ""
    return _NEWS.get(str(entry.get("event")), "") if isinstance(entry, dict) else ""


def error_text(line: str) -> str:
    """Returns what a line of a log tells of an error; empty if it tells of none.

    Args:
        line: One of our JSON lines, one of Triton's, or whatever a library wrote.
    """
    try:
        entry = json.loads(line)
    except ValueError:
        return "" if _CALM.match(line) else line.rstrip()
    if not isinstance(entry, dict) or entry.get("level") not in ("error", "critical"):
        return ""
    return entry_text(entry)


def entry_text(entry: dict[str, object]) -> str:
    """Returns one of our log entries for a person: what happened, and the last line of why.

    Args:
        entry: The entry.
    """
    trace = str(entry.get("exception", "")).strip().rpartition("\n")[2]
    parts = [entry.get(key) for key in ("event", "line", "problem", "reason", "message")]
    return ": ".join(str(part) for part in (*parts, trace) if part)


def last_errors(path: Path, since: int, count: int = 3) -> list[str]:
    """Returns the last errors that a log tells of.

    Args:
        path: The log.
        since: Where to begin, bytes.
        count: How many at most.
    """
    found: deque[str] = deque(maxlen=count)
    with path.open("rb") as stream:
        stream.seek(since)
        for line in stream:
            if text := error_text(line.decode(errors="replace")):
                found.append(text)
    return list(found)
