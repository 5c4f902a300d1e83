"""Files that only save time: they appear whole, or not at all."""

import os
import threading
from pathlib import Path


def keep(path: Path, data: bytes) -> None:
    """Writes a file in one step; a full disk is no reason to fail: nothing is kept then."""
    partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
