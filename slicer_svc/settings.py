"""The slicer's settings."""

from __future__ import annotations

from svckit.settings import ServiceSettings


class SlicerSettings(ServiceSettings, env_prefix="SLICER_", cli_prog_name="slicer"):
    """What the slicer needs to know at its start, read from ``SLICER_…`` or from options."""

    address: str = "127.0.0.1:7101"
    """Where the slicer listens, ``host:port``; port 0 takes a free one."""
