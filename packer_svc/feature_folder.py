"""Keeps the folder of fragments' answers small; `fusion.feature_cache` fills it, in workers."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def trim(folder: Path, most_bytes: int) -> None:
    """Deletes what was not used for longest until at most `most_bytes` are left."""
    files = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            found = path.stat()
            files.append((found.st_mtime_ns, found.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= most_bytes:
            return
        path.unlink(missing_ok=True)
        total -= size
