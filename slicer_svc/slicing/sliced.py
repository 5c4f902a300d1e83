"""What a slicing method hands over."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from slicer_svc.slicing.repairs import Units


@dataclass(frozen=True, eq=False)
class Sliced:
    """A model cut to what one class needs, repairs fused.

    Attributes:
        model: The cut model, its outputs as before.
        kept: Kept units by group, sorted.
        repairs: R of the groups that the classifier reads, by group, `(u, u)` with the columns of
            dropped units zero: what brings cut features back to full width.
    """

    model: ir.Model
    kept: Mapping[str, Units]
    repairs: Mapping[str, NDArray[np.float64]]
