"""Where slicing computes."""

import torch


def fastest_device() -> torch.device:
    """A CUDA device where there is one, else the processor.

    On CUDA products may use TensorFloat-32: its rounding is far below the damping of every fit.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")
    return torch.device("cuda")
