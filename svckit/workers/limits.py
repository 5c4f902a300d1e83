"""What a job may take; applied in the worker process, on Linux."""

import math
import resource
from dataclasses import asdict, dataclass
from typing import Any

_GIB = 2**30


@dataclass(frozen=True)
class WorkerLimits:
    """The limits of one job. Sizes in bytes, times in seconds.

    Attributes:
        address_space_bytes: RLIMIT_AS, all memory that is mapped. Importing torch, onnxruntime and
            onnx maps about 0.7 GiB; CUDA maps far more than any card has, so with a GPU this is
            None, no limit.
        resident_bytes: Memory really in use; the pool looks twice a second and kills.
        cpu_seconds: RLIMIT_CPU, processor time over all threads, counted from the job's start.
        file_bytes: RLIMIT_FSIZE, the largest file that the job can write.
        open_files: RLIMIT_NOFILE, how many files are open at once.
        wall_seconds: Time on the clock, and how long the job may wait for a free worker.
    """

    address_space_bytes: int | None = 8 * _GIB
    resident_bytes: int = 6 * _GIB
    cpu_seconds: int = 1800
    file_bytes: int = 4 * _GIB
    open_files: int = 256
    wall_seconds: float = 3600.0

    def to_json(self) -> dict[str, Any]:
        """Returns the limits as the worker reads them."""
        return asdict(self)


def impose(limits: WorkerLimits) -> None:
    """Limits this process for one job; the hard limits stay, so that `lift` can undo it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = math.ceil(used.ru_utime + used.ru_stime + limits.cpu_seconds)
    _set_soft(resource.RLIMIT_AS, limits.address_space_bytes)
    _set_soft(resource.RLIMIT_CPU, cpu)
    _set_soft(resource.RLIMIT_FSIZE, limits.file_bytes)
    _set_soft(resource.RLIMIT_NOFILE, limits.open_files)


def lift() -> None:
    """Takes the limits of the last job away."""
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):
        _set_soft(kind, None)


def _set_soft(kind: int, value: int | None) -> None:
    hard = resource.getrlimit(kind)[1]
    if value is None:
        value = hard
    elif hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, hard))
