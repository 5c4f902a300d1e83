"""What times are measured on."""

import platform
import re
from pathlib import Path

import onnxruntime
import torch

_CPU_FACTS = Path("/proc/cpuinfo")


def machine_name() -> str:
    """The processor, its vector instructions, and the runtime: equal names, equal times."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{_processor()}, {capability}, ONNX Runtime {onnxruntime.__version__}"


def _processor() -> str:
    if _CPU_FACTS.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", _CPU_FACTS.read_text(), re.MULTILINE)
        if found is not None:
            return found[1].strip()
    return platform.processor() or platform.machine()
