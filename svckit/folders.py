"""Folders that a server keeps its state in."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from svckit.server import StartupError


def writable_folder(folder: Path) -> Path:
    """Returns a folder, made if it is missing, that this process can make files in.

    Raises:
        StartupError: It can not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StartupError(
            f"Cannot write to {folder} ({error.strerror}): let it belong to the user of this "
            f"process ({os.getuid()}), or set another state_dir."
        ) from error
    return folder
