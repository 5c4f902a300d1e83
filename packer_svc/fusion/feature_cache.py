"""What fragments said about samples, kept for the next pack of the same fragments.

A pack of more or fewer classes asks most fragments what they have been asked before. Everything
here can be computed again: a file that is damaged or gone only costs time.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from packer_svc.fusion.features import Fragment, FragmentFeatures, joined
from packer_svc.fusion.kept_files import keep
from packer_svc.fusion.samples import SampleBlock

FORMAT = "1"
"""Changes whenever the same fragment and samples would be kept as something else."""

_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


class FeatureCache:
    """A folder of outputs, one file a fragment and class of samples.

    Several processes may use it at once: a file appears whole, and all would write the same one.

    Args:
        folder: Where they are kept; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def run(self, fragment: Fragment, blocks: Sequence[SampleBlock]) -> FragmentFeatures:
        """A fragment's outputs on samples, in their order; computed block by block where not kept.

        A block is run by itself, so that what a sample gets does not depend on the pack's others.

        Raises:
            GraphError: See `Fragment.run`.
            FusionError: See `Fragment.run`.
        """
        return joined([self._of_block(fragment, block) for block in blocks])

    def _of_block(self, fragment: Fragment, block: SampleBlock) -> FragmentFeatures:
        if self._folder is None:
            return fragment.run(block.inputs)
        path = self._folder / f"{_key(fragment, block)}.npz"
        kept = _read(path, len(block))
        if kept is None:
            kept = fragment.run(block.inputs)
            keep(path, _bytes_of(kept))
        return kept


def _key(fragment: Fragment, block: SampleBlock) -> str:
    parts = (FORMAT, onnxruntime.__version__, fragment.digest, block.key)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _read(path: Path, rows: int) -> FragmentFeatures | None:
    try:
        # Opened here: of a damaged file `np.load` leaves its own open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = FragmentFeatures(arrays["features"], arrays["scores"])
        os.utime(path)
    except _UNREADABLE:
        return None
    whole = all(
        part.ndim == 2 and len(part) == rows and part.dtype == np.float32
        for part in (found.features, found.scores)
    )
    return found if whole else None


def _bytes_of(found: FragmentFeatures) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, features=found.features, scores=found.scores)
    return buffer.getvalue()
