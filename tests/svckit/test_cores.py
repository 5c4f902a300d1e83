"""How many cores a process counts, by made files of control groups."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from svckit.cores import cpu_quota, usable_cores

TMPFS = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755"
UNIFIED = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
CPU = "32 31 0:29 {} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
CPUSET = "35 31 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset"


def machine(
    root: Path, mounts: list[str], groups: list[str], files: Mapping[str, str] | None = None
) -> Path:
    """Writes what a process sees of its control groups."""
    own = root / "proc" / "self"
    own.mkdir(parents=True)
    (own / "mountinfo").write_text("\n".join(mounts) + "\n")
    (own / "cgroup").write_text("\n".join(groups) + "\n")
    for name, text in (files or {}).items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("limit", "quota"),
    [("200000 100000", 2.0), ("150000 100000", 1.5), ("5000 10000", 0.5), ("max 100000", None)],
)
def test_the_limit_of_a_container_is_read(tmp_path: Path, limit: str, quota: float | None) -> None:
    assert cpu_quota(machine(tmp_path, [UNIFIED], ["0::/"], {"cpu.max": limit})) == quota


def test_the_least_limit_of_all_groups_around_a_process_counts(tmp_path: Path) -> None:
    files = {
        "pods/cpu.max": "400000 100000",
        "pods/one/cpu.max": "300000 100000",
        "pods/one/box/cpu.max": "max 100000",
        "pods/other/cpu.max": "100000 100000",
    }
    assert cpu_quota(machine(tmp_path, [UNIFIED], ["0::/pods/one/box"], files)) == 3.0


def test_a_quota_of_version_1_is_read(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/box/cpu.cfs_quota_us": "250000",
        "cpu,cpuacct/box/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
    }
    groups = ["3:cpuset:/", "2:cpu,cpuacct:/box", "1:name=systemd:/"]
    assert cpu_quota(machine(tmp_path, [TMPFS, CPU.format("/"), CPUSET], groups, files)) == 2.5


def test_in_a_container_the_group_is_what_is_mounted(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "200000",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
    }
    group = "/docker/0123"
    found = machine(tmp_path, [TMPFS, CPU.format(group)], [f"2:cpu,cpuacct:{group}"], files)
    assert cpu_quota(found) == 2.0


def test_a_group_beside_what_is_mounted_has_the_limits_of_the_mount(tmp_path: Path) -> None:
    found = machine(tmp_path, [UNIFIED], ["0::/../other"], {"cpu.max": "100000 100000"})
    assert cpu_quota(found) == 1.0


@pytest.mark.parametrize(
    "files", [{}, {"cpu.max": ""}, {"cpu.max": "many 100000"}, {"cpu.max": "100000 0"}]
)
def test_what_cannot_be_read_limits_nothing(tmp_path: Path, files: Mapping[str, str]) -> None:
    assert cpu_quota(machine(tmp_path, [UNIFIED], ["0::/"], files)) is None


def test_without_control_groups_all_cores_of_the_mask_are_counted(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("limit", ["190000 100000", "100000 100000", "10000 100000"])
def test_a_limit_of_less_than_two_cores_is_one(tmp_path: Path, limit: str) -> None:
    assert usable_cores(machine(tmp_path, [UNIFIED], ["0::/"], {"cpu.max": limit})) == 1


def test_no_limit_adds_cores_that_the_mask_has_not(tmp_path: Path) -> None:
    found = machine(tmp_path, [UNIFIED], ["0::/"], {"cpu.max": "6400000 100000"})
    assert usable_cores(found) == len(os.sched_getaffinity(0))
