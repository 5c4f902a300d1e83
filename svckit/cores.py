"""How many processor cores this process may use: what containers limit is no affinity mask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

_ROOT: Final = Path("/")


class _Mount(NamedTuple):
    """A mounted hierarchy of control groups: version 2, or version 1's of processor time."""

    unified: bool
    group: PurePosixPath
    place: PurePosixPath


def usable_cores(root: Path = _ROOT) -> int:
    """Returns how many cores may be kept busy: those of the affinity mask, or fewer by quota.

    Of a quota of 2.5 cores two: a third busy thread would have all three wait for the next period.

    Args:
        root: The folder under which ``proc`` and the control groups are found.

    Returns:
        At least 1.
    """
    quota = cpu_quota(root)
    cores = len(os.sched_getaffinity(0))
    return cores if quota is None else max(1, min(cores, int(quota)))


def cpu_quota(root: Path = _ROOT) -> float | None:
    """Returns the least quota, in cores, of this process's control group and those around it.

    Args:
        root: As of `usable_cores`.

    Returns:
        None where none is set or where nothing can be read of it.
    """
    quotas = []
    for mount in _mounts(root):
        for folder in _folders(root, mount):
            with suppress(OSError, ValueError, ZeroDivisionError):
                quota = _quota_2(folder) if mount.unified else _quota_1(folder)
                if quota is not None and quota > 0:
                    quotas.append(quota)
    return min(quotas, default=None)


def _quota_2(folder: Path) -> float | None:
    quota, period = (folder / "cpu.max").read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_1(folder: Path) -> float | None:
    # -1 where there is none.
    quota = int((folder / "cpu.cfs_quota_us").read_text())
    return None if quota < 0 else quota / int((folder / "cpu.cfs_period_us").read_text())


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in _lines(root / "proc/self/mountinfo"):
        about, _, filesystem = line.partition(" - ")
        fields, kind = about.split(), filesystem.partition(" ")[0]
        options = filesystem.rpartition(" ")[2].split(",")
        if kind == "cgroup2" or (kind == "cgroup" and "cpu" in options):
            yield _Mount(kind == "cgroup2", PurePosixPath(fields[3]), PurePosixPath(fields[4]))


def _folders(root: Path, mount: _Mount) -> Iterator[Path]:
    """The folder of this process's control group in a hierarchy, and those that it lies in."""
    top = root / mount.place.relative_to("/")
    own = _own_group(root, mount)
    # In a container the file names the group by its path outside, of which only the end is mounted.
    inside = own.relative_to(mount.group) if own.is_relative_to(mount.group) else PurePosixPath()
    folder = top / inside
    yield folder
    while folder != top:
        folder = folder.parent
        yield folder


def _own_group(root: Path, mount: _Mount) -> PurePosixPath:
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, group = line.split(":", 2)
        if number == "0" if mount.unified else "cpu" in controllers.split(","):
            return PurePosixPath(group)
    return mount.group


def _lines(path: Path) -> list[str]:
    with suppress(OSError):
        return path.read_text().splitlines()
    return []
