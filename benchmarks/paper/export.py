"""Networks as ONNX files."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn


def export_with_free_batch(network: nn.Module, example: Tensor, name: str, path: Path) -> None:
    """Writes a network as ONNX with a free batch and the output `scores`.

    Args:
        network: In the mode that it is served in.
        example: What it reads, two samples at least.
        name: What its input is called.
        path: Where the file is written.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The older exporter announces its end with every call; the newer unrolls nothing here.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=[name],
            output_names=["scores"],
            dynamic_axes={name: {0: "batch"}, "scores": {0: "batch"}},
        )
