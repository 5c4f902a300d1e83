"""``python -m packer_svc``: the packer's process."""

import sys

import svckit.mortal  # noqa: F401 - before what takes long to import.
from packer_svc.app import compose
from packer_svc.settings import PackerSettings
from svckit.process import run

if __name__ == "__main__":
    sys.exit(run(PackerSettings, compose, sys.argv[1:], "packer"))
