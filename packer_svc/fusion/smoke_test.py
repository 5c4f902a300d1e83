"""The first request to a live server, and what it is to answer."""

import io

import numpy as np

from onnxgraph.parity import Runner
from packer_svc.fusion.pack import PROBABILITIES
from packer_svc.fusion.probes import Inputs, spread

SMOKE_SAMPLES = 8


def smoke_test(runner: Runner, inputs: Inputs) -> bytes:
    """An npz with the arrays "input/NAME" and "output/probabilities".

    Args:
        runner: Runs the pack.
        inputs: The samples, one array per input by its name; some of them are taken.
    """
    count = len(next(iter(inputs.values())))
    chosen = spread(count, min(SMOKE_SAMPLES, count))
    shown = {name: values[chosen] for name, values in inputs.items()}
    arrays = {f"input/{name}": shown[name] for name in runner.inputs}
    arrays[f"output/{PROBABILITIES}"] = runner.run(shown, (PROBABILITIES,))[PROBABILITIES]
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
