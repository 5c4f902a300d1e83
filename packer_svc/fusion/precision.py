"""In what a pack computes: float32, or fewer bits at a price that its proof states."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import TopologicalSortPass
from onnxruntime.transformers.float16 import convert_float_to_float16

from onnxgraph.agreement import Parity, compare, worst
from onnxgraph.lookup import constant_of
from onnxgraph.parameters import add_initializer
from onnxgraph.parity import Runner
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import run_batches
from packer_svc.fusion.pack import HEAD_PREFIX, NONE_OF_THESE, PROBABILITIES
from packer_svc.fusion.probes import SAMPLES, Inputs, probes
from packer_svc.fusion.quantise import divergence, quantise
from packer_svc.fusion.samples import PackSamples

Answers = Mapping[str, npt.NDArray[np.float32]]

BATCH = 7
MOST_ACCURACY_LOST = 0.02
"""On the samples. The pack knows them: what is lost on others is some of the same size."""
MOST_DIVERGENCE = 0.01
"""Mean Kullback-Leibler divergence on the samples, in nats."""
MOST_SCORE_MOVED = 0.02
"""Of the score that an input belongs to no class, mean absolute difference on the samples."""


class Precision(StrEnum):
    """In what a pack computes."""

    FP32 = "fp32"
    FP16 = "fp16"
    """For GPUs; inputs and outputs stay in float32, and so does the head."""
    BF16 = "bf16"
    """Weights in bfloat16, half the bytes; what is computed is computed in float32, since ONNX
    Runtime has no convolution in bfloat16 on CPUs, and on GPUs only for opsets above the packs'."""
    INT8 = "int8"
    """Eight-bit integers where they cost little accuracy, for CPUs with instructions for them."""


@dataclass(frozen=True)
class Lowered:
    """A pack in fewer bits.

    Attributes:
        graph: The ONNX file.
        kept_in_float: Heavy nodes that stay in float32, by name, the head left out.
    """

    graph: bytes
    kept_in_float: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoweredCase:
    """One comparison of a lowered pack with the float32 one.

    Attributes:
        inputs: "samples", "random" or "extreme".
        rows: Inputs compared.
        parity: Distances of the probabilities; passed if all are finite.
    """

    inputs: str
    rows: int
    parity: Parity


@dataclass(frozen=True)
class PrecisionCheck:
    """What fewer bits cost.

    Attributes:
        precision: In what the pack computes.
        kept_in_float: Heavy nodes that stay in float32.
        divergence: Kullback-Leibler divergence from the float32 pack's probabilities, in nats, mean
            over the samples.
        in_sample_accuracy: On the samples that the pack was made from.
        in_sample_accuracy_fp32: The float32 pack's.
        cases: Comparisons with the float32 pack.
        passed: Whether all answers are finite and what was lost and moved is within bounds.
        none_of_these_moved: Mean absolute difference of the score that a sample belongs to no class
            of the pack; None for a pack without it.
    """

    precision: Precision
    kept_in_float: tuple[str, ...]
    divergence: float
    in_sample_accuracy: float
    in_sample_accuracy_fp32: float
    cases: tuple[LoweredCase, ...]
    passed: bool
    none_of_these_moved: float | None = None

    def require(self) -> None:
        """Raises if fewer bits cost too much.

        Raises:
            FusionError: `PROOF_FAILED`.
        """
        if self.passed:
            return
        score = self.none_of_these_moved
        raise FusionError(
            FusionReason.PROOF_FAILED,
            f"In {self.precision} the pack's accuracy on its samples is "
            f"{self.in_sample_accuracy:.3f} instead of {self.in_sample_accuracy_fp32:.3f}, its "
            f"probabilities move by {self.divergence:.3g} nats"
            f"{'' if score is None else f', its none_of_these by {score:.3g}'}; it is not kept.",
            advice="Ask for fp32.",
            metadata={"precision": self.precision.value, "divergence": f"{self.divergence:.3g}"},
        )


def lower(pack: bytes, precision: Precision, samples: Inputs) -> Lowered:
    """Brings a float32 pack to a precision.

    Args:
        pack: What `build_pack` made.
        precision: What is wanted.
        samples: What ranges are taken from, one array per input by its name.

    Raises:
        FusionError: `PRECISION_UNSUPPORTED`.
        GraphError: ONNX Runtime cannot run the result.
    """
    if precision is Precision.INT8:
        found = quantise(pack, samples)
        return Lowered(found.graph, found.kept_in_float)
    if precision is Precision.FP16:
        return Lowered(_half(pack))
    if precision is Precision.BF16:
        return Lowered(_weights_in_bfloat16(pack))
    return Lowered(pack)


def check_lowered(
    pack: bytes, lowered: Lowered, precision: Precision, samples: PackSamples, *, seed: int
) -> PrecisionCheck:
    """Compares a lowered pack with the float32 one on samples, random and extreme inputs.

    Args:
        pack: The float32 pack.
        lowered: The same in fewer bits.
        precision: In what it computes.
        samples: The samples of all classes.
        seed: Of the random inputs.
    """
    wide, narrow = Runner(pack), Runner(lowered.graph)

    def answers(runner: Runner, inputs: Inputs) -> Answers:
        return run_batches(runner, inputs, wide.outputs, batch=BATCH)

    labels = samples.labels
    wanted, got = answers(wide, samples.inputs), answers(narrow, samples.inputs)
    expected, found = wanted[PROBABILITIES], got[PROBABILITIES]
    cases = [LoweredCase(SAMPLES, len(labels), _parity(got, wanted))]
    for probe in probes(samples.inputs, seed):
        if probe.name == SAMPLES:
            continue
        part = _parity(answers(narrow, probe.inputs), answers(wide, probe.inputs))
        cases.append(LoweredCase(probe.name, len(next(iter(probe.inputs.values()))), part))
    moved = divergence(expected.astype(np.float64), found.astype(np.float64))
    score = _moved(got, wanted)
    before, after = (float((part.argmax(axis=1) == labels).mean()) for part in (expected, found))
    return PrecisionCheck(
        precision=precision,
        kept_in_float=lowered.kept_in_float,
        divergence=moved,
        in_sample_accuracy=after,
        in_sample_accuracy_fp32=before,
        cases=tuple(cases),
        passed=all(case.parity.passed for case in cases)
        and moved <= MOST_DIVERGENCE
        and before - after <= MOST_ACCURACY_LOST
        and (score is None or score <= MOST_SCORE_MOVED),
        none_of_these_moved=score,
    )


def _parity(found: Answers, expected: Answers) -> Parity:
    """Probabilities differ by one at most: within this tolerance is whatever is finite."""
    return worst([compare(found[name], expected[name], atol=1.0, rtol=0.0) for name in expected])


def _moved(found: Answers, expected: Answers) -> float | None:
    if NONE_OF_THESE not in expected:
        return None
    return float(np.abs(found[NONE_OF_THESE] - expected[NONE_OF_THESE]).mean())


def _half(pack: bytes) -> bytes:
    """Weights and activations in float16, the head left out: its logits decide."""
    proto = onnx.load_from_string(pack)
    head = [node.name for node in proto.graph.node if node.name.startswith(HEAD_PREFIX)]
    found = convert_float_to_float16(proto, keep_io_types=True, node_block_list=head)
    # It casts a value once for every node of the head that reads it, under one name.
    names = [node.output[0] for node in found.graph.node]
    for place in reversed(range(len(names))):
        if names[place] in names[:place]:
            del found.graph.node[place]
    # It leaves the casts of inputs behind the nodes that read them.
    model = ir.serde.deserialize_model(found)
    TopologicalSortPass()(model)
    return bytes(ir.serde.serialize_model(model).SerializeToString(deterministic=True))


def _weights_in_bfloat16(pack: bytes) -> bytes:
    """Weights rounded to bfloat16, each behind a Cast that is folded when the graph is loaded.

    Those of the head stay in float32, and so do vectors, which take few bytes.
    """
    model = from_trusted_bytes(pack, shapes=False)
    read = {value for node in model.graph if not _is_head(node) for value in node.inputs}
    tape = ir.tape.Tape()
    for value in list(model.graph.initializers.values()):
        tensor = constant_of(value)
        if value not in read or tensor is None or tensor.dtype != ir.DataType.FLOAT:
            continue
        if len(tensor.shape) < 2:
            continue
        narrow = tensor.numpy().astype(ml_dtypes.bfloat16)
        stored = add_initializer(model, f"{value.name}.bf16", narrow)
        attributes = {"to": ir.DataType.FLOAT.value}
        wide = tape.op("Cast", [stored], attributes, name=f"{value.name}.cast")
        ir.convenience.replace_all_uses_with(value, wide)
        del model.graph.initializers[str(value.name)]
    model.graph.insert_before(model.graph[0], tape.nodes)
    return to_bytes(model)


def _is_head(node: ir.Node) -> bool:
    return str(node.name).startswith(HEAD_PREFIX)
