"""How long the originals of packs run, kept so that each is run once a machine.

An original is many times as large as a pack: while its time is kept, nobody needs to fetch it. So
this is read where nothing can be run, and loads no ONNX Runtime.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from packer_svc.fusion.kept_files import keep
from packer_svc.fusion.processor import processor

FORMAT = "1"
"""Changes whenever kept times would mean something else."""

FIELDS = ("single_seconds", "batch_seconds")
"""Those of `run_time.RunTime`."""


class OriginalTimes:
    """A folder of times, one file a graph, processor and version of ONNX Runtime.

    Args:
        folder: Where they are kept, beside what else only saves time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def kept(self, digest: str) -> dict[str, float] | None:
        """The fields of a graph's `RunTime`; None where it was not measured here.

        Args:
            digest: `sha256:<hex>` of the graph.
        """
        path = self._path(digest)
        try:
            found = json.loads(path.read_text())
            os.utime(path)
            times = {name: float(found[name]) for name in FIELDS}
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return times if all(0 <= one < float("inf") for one in times.values()) else None

    def keep(self, digest: str, times: Mapping[str, float]) -> None:
        """Keeps the fields of a graph's `RunTime`."""
        keep(self._path(digest), json.dumps({name: times[name] for name in FIELDS}).encode())

    def _path(self, digest: str) -> Path:
        parts = (FORMAT, version("onnxruntime"), processor(), digest)
        named = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return self._folder / f"{named}.original.json"
