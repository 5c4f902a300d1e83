"""The folder of one version of a model: its files, and what they say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from serving.durable import move, sync
from serving.model_config import ModelConfig, TensorConfig, from_text, to_text

MODEL_FILE: Final = "model.onnx"
LABELS_FILE: Final = "labels.txt"
SMOKE_TEST_FILE: Final = "smoke_test.npz"
CONFIG_FILE: Final = "config.pbtxt"
_MANIFEST_FILE: Final = "manifest.json"


@dataclass(frozen=True)
class VersionManifest:
    """What one version folder is.

    Attributes:
        version: Its number.
        pack: Resource name of the pack, "packs/…".
        graph_digest: The digest of the pack's graph, "sha256:…".
        smoke_test_digest: The digest of its smoke test.
    """

    version: int
    pack: str
    graph_digest: str
    smoke_test_digest: str


@dataclass(frozen=True)
class NewVersion:
    """All that a version folder is made of.

    Attributes:
        manifest: What it is.
        model: The pack's ONNX file, in the repository's staging folder; moved in.
        smoke_test: An npz file with inputs and answers, in the staging folder; moved in.
        config: Its configuration, the model's name in it; the version policy is set on activation.
        labels: Class labels, in the order of the class axis.
    """

    manifest: VersionManifest
    model: Path
    smoke_test: Path
    config: ModelConfig
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Signature:
    """What clients see of a version: its inputs, its outputs and its labels, one a line."""

    inputs: tuple[TensorConfig, ...]
    outputs: tuple[TensorConfig, ...]
    labels: str


def fill(folder: Path, new: NewVersion) -> None:
    """Writes and moves all files of a version into an empty folder, and syncs them."""
    for source, file in ((new.model, MODEL_FILE), (new.smoke_test, SMOKE_TEST_FILE)):
        move(source, folder / file)
    (folder / CONFIG_FILE).write_text(to_text(new.config))
    (folder / LABELS_FILE).write_text(label_lines(new.labels))
    (folder / _MANIFEST_FILE).write_text(json.dumps(asdict(new.manifest), indent=2) + "\n")
    for path in (*folder.iterdir(), folder):
        sync(path)


def read_manifest(folder: Path) -> VersionManifest | None:
    """What a version folder is; None where nothing in it says so, or in other words than today."""
    try:
        return VersionManifest(**json.loads((folder / _MANIFEST_FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def read_signature(folder: Path) -> Signature:
    """What clients see of a version."""
    config = from_text((folder / CONFIG_FILE).read_text())
    return Signature(config.inputs, config.outputs, (folder / LABELS_FILE).read_text())


def altered_files(folder: Path, manifest: VersionManifest) -> tuple[tuple[str, str], ...]:
    """The files that are not what a manifest says; reads all of them.

    Returns:
        The name and the right digest of each.
    """
    return tuple(
        (file, digest)
        for file, digest in (
            (MODEL_FILE, manifest.graph_digest),
            (SMOKE_TEST_FILE, manifest.smoke_test_digest),
        )
        if not (folder / file).is_file() or _digest(folder / file) != digest
    )


def label_lines(labels: Sequence[str]) -> str:
    """Labels as Triton reads them, one a line."""
    return "".join(f"{label}\n" for label in labels)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
