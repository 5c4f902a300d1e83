"""The slicer's settings."""

from __future__ import annotations

from svckit.settings import Device, ServiceSettings


class SlicerSettings(ServiceSettings, env_prefix="SLICER_", cli_prog_name="slicer"):
    """What the slicer needs to know at its start, read from ``SLICER_…`` or from options."""

    address: str = "127.0.0.1:7101"
    """Where the slicer listens, ``host:port``; port 0 takes a free one."""
    device: Device = "auto"
    """Where torch computes: with cpu or cuda the process does not start where it computes
    elsewhere; auto takes CUDA where there is one. ONNX Runtime computes on the processor."""

    @property
    def worker_device(self) -> Device:
        """Where workers compute."""
        return self.device
