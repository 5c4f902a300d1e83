"""Triton's local model repository: atomic, versioned, rebuildable.

Layout under the root::

    models/NAME/config.pbtxt         what Triton reads, written from the versions served
    models/NAME/labels.txt
    models/NAME/7/model.onnx         one folder a version, never given other bytes once renamed in
    models/NAME/7/manifest.json      what this version is
    models/NAME/7/config.pbtxt       the configuration that goes with it, and its labels, so that a
    models/NAME/7/labels.txt         switch can be taken back without asking anybody
    models/NAME/7/smoke_test.npz     inputs and the answers that they must give
    staging/                         where version folders are made, on the same file system

Triton's configuration and labels belong to the model, not to a version; keeping each version's own
beside it is what makes taking a switch back one step.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from serving.durable import move, replace_text, sync
from serving.errors import RepositoryError
from serving.model_config import (
    InstanceGroup,
    InstanceKind,
    ModelConfig,
    SpecificVersions,
    from_text,
    to_text,
)
from serving.version_folder import (
    CONFIG_FILE,
    LABELS_FILE,
    NewVersion,
    Signature,
    VersionManifest,
    altered_files,
    fill,
    label_lines,
    read_manifest,
    read_signature,
)

KEPT_VERSIONS = 2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class ModelRepository:
    """The only writer of one Triton's model repository.

    Args:
        root: Its folder; made where missing.
    """

    def __init__(self, root: Path) -> None:
        self.models = root.absolute() / "models"
        self.staging = root.absolute() / "staging"
        self._lock = root.absolute() / "lock"

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Holds the repository for this process and clears what an interrupted writer left.

        Raises:
            RepositoryError: Another process holds it.
        """
        self.models.mkdir(parents=True, exist_ok=True)
        with self._lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RepositoryError(
                    f"another process writes the model repository {self.models.parent}",
                    advice="Stop the other reconciler, or give this one a folder of its own.",
                ) from None
            shutil.rmtree(self.staging, ignore_errors=True)
            self.staging.mkdir()
            yield

    def names(self) -> tuple[str, ...]:
        """The models that have a folder, sorted."""
        return tuple(sorted(entry.name for entry in self.models.iterdir() if entry.is_dir()))

    def versions(self, name: str) -> tuple[VersionManifest, ...]:
        """The versions of a model with a manifest, oldest first; empty for an unknown model."""
        folder = self._folder(name)
        if not folder.is_dir():
            return ()
        entries = [entry for entry in folder.iterdir() if entry.name.isdecimal()]
        found = filter(None, map(read_manifest, entries))
        return tuple(sorted(found, key=lambda manifest: manifest.version))

    def has_folder(self, name: str, version: int) -> bool:
        """Whether there is a folder of this number, whatever is in it."""
        return self.version_folder(name, version).exists()

    def manifest(self, name: str, version: int) -> VersionManifest | None:
        """What a version is, None where there is no such version."""
        found = (manifest for manifest in self.versions(name) if manifest.version == version)
        return next(found, None)

    def altered(self, name: str, manifest: VersionManifest) -> tuple[tuple[str, str], ...]:
        """The files of a version that are not what its manifest says; reads all of them.

        Returns:
            The name and the right digest of each.
        """
        return altered_files(self.version_folder(name, manifest.version), manifest)

    def mend(self, name: str, version: int, file: str, source: Path) -> None:
        """Puts the right bytes in the place of an altered file, in one step.

        Args:
            name: The model.
            version: The version.
            file: The file's name.
            source: A file with the right bytes, in the staging folder; moved in.
        """
        sync(source)
        move(source, self.version_folder(name, version) / file)
        sync(self.version_folder(name, version))

    def is_configured(self, name: str, version: int) -> bool:
        """Whether a version has labels and a configuration that can be read."""
        try:
            self.signature(name, version)
        except (OSError, ValueError):
            return False
        return True

    def active(self, name: str) -> tuple[int, ...]:
        """The versions that Triton serves after a load; the last is the one that clients get.

        None where the configuration cannot be read: Triton could not load it either.
        """
        path = self._folder(name) / CONFIG_FILE
        if not path.is_file():
            return ()
        try:
            policy = from_text(path.read_text()).version_policy
        except ValueError:
            return ()
        return policy.versions if isinstance(policy, SpecificVersions) else ()

    def instances(self, name: str) -> int:
        """Copies of a model that Triton runs after a load; 1 where nobody can tell."""
        group = self._instance_group(name)
        return 1 if group is None else group.count

    def instance_kind(self, name: str) -> InstanceKind | None:
        """Where Triton is asked to run them; None where nobody can tell."""
        group = self._instance_group(name)
        return None if group is None else group.kind

    def _instance_group(self, name: str) -> InstanceGroup | None:
        path = self._folder(name) / CONFIG_FILE
        try:
            return from_text(path.read_text()).instance_group
        except (OSError, ValueError):
            return None

    def describe(
        self, name: str, version: int, config: ModelConfig, labels: tuple[str, ...]
    ) -> None:
        """Writes a version's own configuration and labels; Triton sees them after `activate`.

        Args:
            name: The model.
            version: A version that is there.
            config: As of `NewVersion`.
            labels: As of `NewVersion`.
        """
        folder = self.version_folder(name, version)
        self._write(folder / CONFIG_FILE, to_text(config))
        self._write(folder / LABELS_FILE, label_lines(labels))

    def is_active_as_configured(self, name: str, version: int) -> bool:
        """Whether `activate` with this version last would change nothing but version numbers."""
        path = self._folder(name) / CONFIG_FILE
        if version not in self.active(name):
            return False
        folder = self.version_folder(name, version)
        own = from_text((folder / CONFIG_FILE).read_text())
        active = from_text(path.read_text())
        if replace(active, version_policy=own.version_policy) != own:
            return False
        labels = self._folder(name) / LABELS_FILE
        return labels.is_file() and labels.read_bytes() == (folder / LABELS_FILE).read_bytes()

    def signature(self, name: str, version: int) -> Signature:
        """What clients see of a version; two versions can be loaded together if it is the same."""
        return read_signature(self.version_folder(name, version))

    def version_folder(self, name: str, version: int) -> Path:
        """Where a version's files lie."""
        return self._folder(name) / str(version)

    def add(self, name: str, new: NewVersion) -> None:
        """Adds a version folder: written beside, synced to disk, renamed in.

        Triton does not see it before `activate` and a load.

        Args:
            name: The model.
            new: What the folder is made of.

        Raises:
            RepositoryError: The number is taken: a version's files are never overwritten.
        """
        target = self.version_folder(name, new.manifest.version)
        if target.exists():
            raise RepositoryError(
                f"{name!r} has a version {new.manifest.version} already",
                advice="Take the next number: a version that was served is never overwritten.",
            )
        folder = Path(tempfile.mkdtemp(dir=self.staging))
        # mkdtemp lets nobody else in, and Triton may run as another user.
        folder.chmod(0o755)
        try:
            fill(folder, new)
            target.parent.mkdir(exist_ok=True)
            folder.rename(target)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        sync(target.parent)

    def activate(self, name: str, versions: Sequence[int]) -> None:
        """Writes what Triton reads at the next load: these versions, the last one's configuration.

        A version policy with explicit numbers makes Triton keep what is loaded and serves already,
        and load only what is new.

        Args:
            name: The model.
            versions: The numbers to serve, ascending; of more than one, the last has the say over
                configuration and labels, and its signature must be the others'.

        Raises:
            RepositoryError: A version has no folder.
        """
        source = self.version_folder(name, versions[-1])
        if not (source / CONFIG_FILE).is_file():
            raise RepositoryError(
                f"{name!r} has no version {versions[-1]}",
                advice="Add the version before it is activated.",
            )
        config = from_text((source / CONFIG_FILE).read_text())
        config = replace(config, version_policy=SpecificVersions(tuple(versions)))
        # Labels first: a configuration never names labels that are not there yet.
        self._write(self._folder(name) / LABELS_FILE, (source / LABELS_FILE).read_text())
        self._write(self._folder(name) / CONFIG_FILE, to_text(config))

    def remove_version(self, name: str, version: int) -> None:
        """Removes a version's folder; one that is missing is no error.

        Args:
            name: The model.
            version: A version that Triton does not serve.
        """
        self._discard(self.version_folder(name, version))

    def prune(self, name: str) -> None:
        """Removes versions until `KEPT_VERSIONS` are left: those that are active, then the newest.

        Args:
            name: The model.
        """
        active = set(self.active(name))
        numbers = [manifest.version for manifest in self.versions(name)]
        idle = [number for number in numbers if number not in active]
        for number in idle[: max(0, len(numbers) - KEPT_VERSIONS)]:
            self.remove_version(name, number)

    def remove(self, name: str) -> None:
        """Removes a model with all its versions; one that is missing is no error.

        Args:
            name: A model that Triton does not serve.
        """
        self._discard(self._folder(name))

    def _discard(self, folder: Path) -> None:
        if folder.exists():
            # Renamed away first: a half-removed folder is never in Triton's sight.
            grave = Path(tempfile.mkdtemp(dir=self.staging))
            folder.rename(grave / folder.name)
            shutil.rmtree(grave)

    def _write(self, path: Path, text: str) -> None:
        if path.is_file() and path.read_bytes() == text.encode():
            # Triton loads every version anew where it sees a new time on the labels.
            return
        replace_text(path, text, self.staging)

    def _folder(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise RepositoryError(
                f"{name!r} is no name of a model",
                advice="Use at most 128 letters, digits, '-', '_' and '.', no sign first.",
            )
        return self.models / name
