"""The packer's settings."""

from __future__ import annotations

from pydantic import Field

from svckit.clients.settings import ClientSettings
from svckit.cores import usable_cores
from svckit.settings import ServiceSettings

MOST_THREADS = 4
"""More fragments at once win little: a pack's proof waits for the slowest."""


def usable_cores_at_most_4() -> int:
    """Returns the default, under the name that ``--help`` shows for it."""
    return min(MOST_THREADS, usable_cores())


class PackerSettings(
    ServiceSettings, env_prefix="PACKER_", env_nested_delimiter="__", cli_prog_name="packer"
):
    """What the packer needs to know at its start, read from ``PACKER_…`` or from options."""

    address: str = "127.0.0.1:7102"
    """Where the packer listens, ``host:port``; port 0 takes a free one."""
    slicer: ClientSettings = ClientSettings(address="127.0.0.1:7101")
    """Where the slicer is, and how to reach it."""
    worker_threads: int = Field(default_factory=usable_cores_at_most_4, ge=1)
    """How many fragments a worker runs at once, each on one thread."""
    feature_cache_bytes: int = Field(default=2**30, ge=0)
    """What is kept of fragments' answers to samples, so that changing a pack is quick; the
    longest unused go first."""
    acceptable_error: float | None = Field(default=None, gt=0, le=1)
    """The largest error that may be deployed, in (0, 1]: what a pack's error is at most with 95 %
    confidence. Where left out, every pack may be."""
    replica_seconds: float = Field(default=8.0, gt=0)
    """For how long a deployment waits while no replica of Triton is connected."""
    ready_seconds: float = Field(default=120.0, gt=0)
    """How long replicas may take to serve a new pack before the switch is taken back."""

    @property
    def library_threads(self) -> int:
        """One thread.

        Fragments run beside each other, and threads of BLAS that wait for one another while
        fragments hold the processors make the fit of a head many times as long.
        """
        return 1
