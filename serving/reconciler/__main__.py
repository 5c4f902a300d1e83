"""Runs a reconciler: `python -m serving.reconciler --embedded`."""

from __future__ import annotations

import sys

import svckit.mortal  # noqa: F401 - before what takes long to import.
from serving.reconciler.app import compose
from serving.reconciler.settings import ReconcilerSettings
from svckit.process import run

if __name__ == "__main__":
    sys.exit(run(ReconcilerSettings, compose, sys.argv[1:], "reconciler"))
