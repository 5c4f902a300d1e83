"""``python -m svckit.backup STATE BACKUP``: copies a service's state while the service goes on.

The copy is a state folder: to restore it, start the service over it (or over a copy of it). The
database is copied first, in one consistent state; the artifacts that it refers to stay at least a
day, whatever is deleted meanwhile. Artifacts that the backup has already are not copied again.
"""

import argparse
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from svckit.artifacts.files import digest_of_file, keep
from svckit.artifacts.objects import ObjectFiles, hexadecimal

DATABASE = "service.db"
ARTIFACTS = "artifacts"

_REFERENCED = "SELECT DISTINCT digest FROM artifact_references ORDER BY digest"


def main(arguments: Sequence[str]) -> int:
    """Runs the command line.

    Returns:
        The exit code: 0; 2 where a folder is none of a service; 3 where artifacts are gone or
        damaged, after everything else was copied.
    """
    parser = argparse.ArgumentParser(prog="python -m svckit.backup", description=__doc__)
    parser.add_argument("state", type=Path, help="the service's --state-dir")
    parser.add_argument(
        "backup", type=Path, help="a folder for the copy, or one of an earlier copy"
    )
    parsed = parser.parse_args(arguments)
    problem = _problem(parsed.state, parsed.backup)
    if problem is not None:
        sys.stderr.write(f"{problem}\n")
        return 2
    parsed.backup.mkdir(parents=True, exist_ok=True)
    _copy_database(parsed.state / DATABASE, parsed.backup / DATABASE)
    wanted = _referenced(parsed.backup / DATABASE)
    old, copies = (ObjectFiles(root / ARTIFACTS) for root in (parsed.state, parsed.backup))
    # Not among the objects: what a crash leaves there would be taken for one.
    scratch = parsed.backup / "artifact.new"
    bad = [
        digest for digest in wanted if not _copied(old.path(digest), copies.path(digest), scratch)
    ]
    sys.stdout.write(f"{len(wanted) - len(bad)} of {len(wanted)} artifacts are in the backup\n")
    for digest in bad:
        sys.stderr.write(f"{digest} is gone or damaged in {parsed.state}: upload its bytes again\n")
    return 3 if bad else 0


def _problem(state: Path, backup: Path) -> str | None:
    if not (state / DATABASE).is_file():
        return f"{state} has no {DATABASE}: name the --state-dir of a slicer or packer"
    if backup.resolve().is_relative_to(state.resolve()):
        return f"{backup} lies in {state}, which a service may empty: name a folder elsewhere"
    if (backup / f"{DATABASE}.lock").exists():
        return f"a service has run over {backup}: name a folder of a backup alone"
    return None


def _copy_database(source: Path, target: Path) -> None:
    """By SQLite's own backup, which readers and writers do not disturb."""
    new = target.with_name(f"{target.name}.new")
    new.unlink(missing_ok=True)
    address = f"{source.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(address, uri=True)) as old, closing(sqlite3.connect(new)) as copy:
        old.backup(copy)
    with new.open("rb") as file:
        keep(file.fileno(), new, target)


def _referenced(database: Path) -> Sequence[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [str(row[0]) for row in connection.execute(_REFERENCED)]


def _copied(source: Path, target: Path, scratch: Path) -> bool:
    """Whether the backup has an artifact, whole; both are named after its digest."""
    if target.exists():
        return True
    try:
        shutil.copyfile(source, scratch)
    except FileNotFoundError:
        return False
    with scratch.open("rb") as file:
        whole = hexadecimal(digest_of_file(file.fileno())) == target.name
        if whole:
            keep(file.fileno(), scratch, target)
    scratch.unlink(missing_ok=True)
    return whole


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
