"""Files that a crash leaves whole, readable by a Triton that runs as another user."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def sync(path: Path) -> None:
    """Waits until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move(source: Path, target: Path) -> None:
    """Renames a file to where Triton reads it."""
    source.chmod(0o644)
    source.rename(target)


def replace_text(path: Path, text: str, staging: Path) -> None:
    """Writes a file beside, syncs it and renames it into place.

    Args:
        path: The file.
        text: Its content.
        staging: A folder on the same file system.
    """
    handle, temporary = tempfile.mkstemp(dir=staging)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    move(Path(temporary), path)
    sync(path.parent)
