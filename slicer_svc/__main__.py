"""``python -m slicer_svc``: the slicer's process."""

import sys

import svckit.mortal  # noqa: F401 - before what takes long to import.
from slicer_svc.app import compose
from slicer_svc.settings import SlicerSettings
from svckit.process import run

if __name__ == "__main__":
    sys.exit(run(SlicerSettings, compose, sys.argv[1:], "slicer"))
