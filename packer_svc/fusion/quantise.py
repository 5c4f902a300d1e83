"""A pack in eight-bit integers: ranges from the samples, what costs too much kept in float.

Static quantisation with QuantizeLinear and DequantizeLinear around the operators, weights by
channel, by ONNX Runtime's own tools (Jacob et al., CVPR 2018). The head stays in float: it is
small, and its few logits decide.
"""

import logging
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from onnxgraph.parity import Runner
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import run_batches
from packer_svc.fusion.pack import HEAD_PREFIX, PROBABILITIES

AnyArray = npt.NDArray[np.generic]
Inputs = Mapping[str, AnyArray]

HEAVY = ("Conv", "Gemm", "MatMul")
"""What is worth quantising for its own sake."""

CARRIED = (
    *("Add", "AveragePool", "Clip", "Concat", "Flatten", "GlobalAveragePool", "MaxPool", "Mul"),
    *("Relu", "Reshape", "Resize", "Transpose"),
)
"""What stands between heavy operators, and need not leave the integers."""

BATCH = 32
MOST_DIVERGENCE = 2e-3
"""Of the probabilities on the samples, in nats, mean over the samples: beyond it nodes go back to
float. (VGG16 of T1 at 25 % of the MACs has some 2e-4 and loses 0.001 of accuracy.)"""


@dataclass(frozen=True)
class Quantised:
    """A pack in eight-bit integers.

    Attributes:
        graph: The ONNX file.
        kept_in_float: The heavy nodes that stay in float, by name, the head left out.
        divergence: Kullback-Leibler divergence of its probabilities from the float pack's, in nats,
            mean over the samples.
    """

    graph: bytes
    kept_in_float: tuple[str, ...]
    divergence: float


def quantise(pack: bytes, samples: Inputs) -> Quantised:
    """Quantises a pack; heavy nodes go back to float, the noisiest first, until it is close.

    Args:
        pack: A float32 pack.
        samples: What ranges are taken from, one array per input by its name.

    Raises:
        FusionError: `PRECISION_UNSUPPORTED`: nothing can be quantised, or not without moving the
            probabilities too far.
        GraphError: ONNX Runtime cannot run the result.
    """
    proto = onnx.load_from_string(pack)
    heavy = [node.name for node in proto.graph.node if _is_heavy(node, proto)]
    if not heavy:
        raise _unsupported("it has no convolution and no dense layer with a weight of its own")
    expected = _probabilities(pack, samples)
    noisiest: list[str] | None = None
    kept: list[str] = []
    while len(kept) < len(heavy):
        graph = _quantised(pack, samples, kept)
        moved = divergence(expected, _probabilities(graph, samples))
        if moved <= MOST_DIVERGENCE:
            return Quantised(graph, tuple(kept), moved)
        if noisiest is None:
            noisiest = _by_noise(pack, proto, heavy, samples)
        kept = noisiest[: 2 * len(kept) or 1]
    raise _unsupported(f"its probabilities would move by {moved:.2g} nats on the samples")


def _is_heavy(node: onnx.NodeProto, proto: onnx.ModelProto) -> bool:
    weights = {tensor.name for tensor in proto.graph.initializer}
    return (
        node.op_type in HEAVY
        and not node.name.startswith(HEAD_PREFIX)
        and any(name in weights for name in node.input)
    )


def _quantised(pack: bytes, samples: Inputs, kept: Collection[str]) -> bytes:
    proto = onnx.load_from_string(pack)
    head = [node.name for node in proto.graph.node if node.name.startswith(HEAD_PREFIX)]
    with tempfile.TemporaryDirectory() as folder, _quietly():
        path = Path(folder) / "quantised.onnx"
        quantize_static(
            proto,
            path,
            _Reader(samples),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*HEAVY, *CARRIED],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # Seven bits of weight: where processors lack instructions for eight, ONNX Runtime adds
            # products in sixteen bits, which then overflow, and the pack answers something else.
            reduce_range=True,
            nodes_to_exclude=[*head, *kept],
            calibrate_method=CalibrationMethod.MinMax,
        )
        found = onnx.load(path)
    found.metadata_props.extend(
        entry for entry in proto.metadata_props if entry not in found.metadata_props
    )
    return bytes(found.SerializeToString(deterministic=True))


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands out the samples in batches."""

    def __init__(self, samples: Inputs) -> None:
        rows = len(next(iter(samples.values())))
        self._feeds = iter(
            [
                {name: values[start : start + BATCH] for name, values in samples.items()}
                for start in range(0, rows, BATCH)
            ]
        )

    def get_next(self) -> dict[str, AnyArray] | None:
        return next(self._feeds, None)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the tools' advice to optimise first: a pack is folded already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _probabilities(graph: bytes, samples: Inputs) -> npt.NDArray[np.float64]:
    found = run_batches(Runner(graph), samples, (PROBABILITIES,), batch=BATCH)[PROBABILITIES]
    return found.astype(np.float64)


def divergence(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    """Kullback-Leibler divergence Σ p·ln(p/q) of rows `(n, C)`, their mean, in nats."""
    least = np.finfo(np.float32).tiny
    return float((p * np.log(np.maximum(p, least) / np.maximum(q, least))).sum(axis=1).mean())


def _by_noise(pack: bytes, proto: onnx.ModelProto, heavy: list[str], samples: Inputs) -> list[str]:
    """Heavy nodes by the noise that their operands' integers carry, relative, loudest first."""
    weights = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer
    }
    nodes = [node for node in proto.graph.node if node.name in heavy]
    read = {name for node in nodes for name in node.input[:2] if name not in weights}
    loud = _activation_noise(pack, read, samples)
    loud |= {
        name: _weight_noise(weights[name])
        for node in nodes
        for name in node.input[:2]
        if name in weights
    }
    noise = {node.name: sum(loud[name] for name in node.input[:2]) for node in nodes}
    return sorted(heavy, key=lambda name: -noise[name])


def _activation_noise(pack: bytes, names: Collection[str], samples: Inputs) -> dict[str, float]:
    """Noise of eight bits over the range of a value, relative to its power, on the samples."""
    proto = onnx.load_from_string(pack)
    given = {value.name for value in proto.graph.input}
    inner = sorted(set(names) - given)
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    runner = Runner(proto.SerializeToString())
    few = {name: values[:BATCH] for name, values in samples.items()}
    found = {**few, **runner.run(few, inner)}
    return {name: _noise(found[name]) for name in names}


def _weight_noise(weight: AnyArray) -> float:
    """The same of a weight, channel by channel of its first axis."""
    rows = weight.reshape(len(weight), -1)
    return float(np.mean([_noise(row) for row in rows]))


def _noise(values: AnyArray) -> float:
    step = float(np.ptp(values)) / 255
    power = float(np.square(values.astype(np.float64)).mean())
    return step * step / 12 / power if power else 0.0


def _unsupported(why: str) -> FusionError:
    return FusionError(
        FusionReason.PRECISION_UNSUPPORTED,
        f"The pack cannot be made in int8: {why}.",
        advice="Ask for fp32.",
        metadata={"precision": "int8"},
    )
