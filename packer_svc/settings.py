"""The packer's settings."""

from __future__ import annotations

from pydantic import Field

from svckit.clients.settings import ClientSettings
from svckit.settings import ServiceSettings


class PackerSettings(
    ServiceSettings, env_prefix="PACKER_", env_nested_delimiter="__", cli_prog_name="packer"
):
    """What the packer needs to know at its start, read from ``PACKER_…`` or from options."""

    address: str = "127.0.0.1:7102"
    """Where the packer listens, ``host:port``; port 0 takes a free one."""
    slicer: ClientSettings = ClientSettings(address="127.0.0.1:7101")
    """Where the slicer is, and how to reach it."""
    replica_seconds: float = Field(default=8.0, gt=0)
    """For how long a deployment waits while no replica of Triton is connected."""
    ready_seconds: float = Field(default=120.0, gt=0)
    """How long replicas may take to serve a new pack before the switch is taken back."""
