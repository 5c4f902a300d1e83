"""Holds rendered manifests to the schemas of Kubernetes, strictly: an unknown field is a fault.

Usage: ``schemas.py FILE…`` prints one line a fault and exits with 1 if there is any. Runs in the
environment that `tools.sh` makes, whose packages have no types and are not the project's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

VERSIONS = tuple(f"1.{minor}" for minor in range(29, 38))
CUSTOM = "monitoring.coreos.com/"
"""Resources of the Prometheus operator, whose schemas Kubernetes does not have."""


def manifests(paths: Iterable[Path]) -> Iterator[tuple[str, Any]]:
    """Yields every manifest once, with the file that it is in first.

    Args:
        paths: Files as `helm template` writes them.
    """
    seen: set[str] = set()
    for path in paths:
        for manifest in yaml.load_all(path.read_text(), yaml.CSafeLoader):
            if manifest is None or manifest["apiVersion"].startswith(CUSTOM):
                continue
            text = json.dumps(manifest, sort_keys=True)
            if text not in seen:
                seen.add(text)
                yield path.name, manifest


def faults(paths: Iterable[Path]) -> Iterator[str]:
    """Yields what the manifests of some files have wrong.

    Args:
        paths: Files as `helm template` writes them.
    """
    kubernetes = import_module("kubernetes_validate")
    # It reads a version's megabyte of definitions anew for every manifest.
    utils = import_module("kubernetes_validate.utils")
    utils.schema_contents = cache(utils.schema_contents)  # type: ignore[attr-defined]
    for file, manifest in manifests(paths):
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        for version in VERSIONS:
            try:
                kubernetes.validate(manifest, version, strict=True)
            except kubernetes.ValidationError as error:
                place = ".".join(str(part) for part in error.path)
                yield f"{file}: {name} ({version}): {place}: {error.message}"


def main() -> int:
    """Checks the files that are named.

    Returns:
        1 if there is any fault, else 0.
    """
    found = list(faults(Path(name) for name in sys.argv[1:]))
    for fault in found:
        sys.stderr.write(fault + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
