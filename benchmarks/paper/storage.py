"""Files that are there whole or not at all, and names for them that change with what made them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]

Arrays = Mapping[str, NDArray[Any]]


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Has a neighbour of `path` written, then puts it in its place; nothing is left on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial{path.suffix}")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def save_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes a document with one key a line."""
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Writes arrays as npz."""
    write_whole(path, lambda partial: np.savez(partial, allow_pickle=False, **dict(arrays)))


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Reads what `save_arrays` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def key_of(*parts: object) -> str:
    """A name for something that depends on `parts`, which are JSON or bytes."""
    found = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        found.update(hashlib.sha256(data).digest())
    return found.hexdigest()[:24]


def source_of(*folders: str) -> str:
    """A hash of the Python files of some folders or files of the repository, without tests.

    What is kept of a computation is found again only by the very code that made it.
    """
    found = hashlib.sha256()
    for folder in folders:
        path = ROOT / folder
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            found.update(str(file.relative_to(ROOT)).encode())
            found.update(file.read_bytes())
    return found.hexdigest()[:24]
