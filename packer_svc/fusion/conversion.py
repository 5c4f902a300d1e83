"""Feeding a fragment what another one is fed: sizes, layouts, types and normalisation.

A few nodes in front of a fragment make its own input of the pack's; the same nodes the other way
round make a pack's samples of a fragment's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxgraph.parameters import add_initializer
from onnxgraph.parity import Runner
from onnxgraph.passes.names import fresh_name
from onnxgraph.passes.raise_opset import WORKING_IR_VERSION, WORKING_OPSET
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from packer_svc.fusion.inputs import matching
from svckit.input_spec import FLOAT32, UINT8, Image, InputSpec, Text

AnyArray = npt.NDArray[np.generic]
FloatArray = npt.NDArray[np.float64]

BATCH = "batch"
PREFIX = "input."
"""The names of all nodes that are put in front of a fragment begin so."""

NOTHING = 1e-9
"""A scale this near to 1, or an offset of this share of the range, changes nothing."""

_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_TO_CHANNELS_LAST = (0, 2, 3, 1)


def adapted(graph: bytes, own: Sequence[InputSpec], shared: Sequence[InputSpec]) -> bytes:
    """A fragment that takes a pack's inputs.

    Args:
        graph: The fragment.
        own: What it is fed.
        shared: The pack's inputs, from `shared_inputs`.

    Returns:
        The fragment behind the nodes that make its inputs of the pack's; itself where it takes them
        as they are.
    """
    pairs = [(matching(own, one.name), one) for one in shared]
    if all(mine.name == theirs.name and _fed_alike(mine, theirs) for mine, theirs in pairs):
        return graph
    model = from_trusted_bytes(graph)
    values = {str(value.name): value for value in model.graph.inputs}
    model.graph.inputs.clear()
    for mine, theirs in pairs:
        _make_free(model.graph, theirs.name)
        value = _new_value(theirs, theirs.name)
        builder = _Builder(model, f"{PREFIX}{theirs.name}.")
        result = _convert(builder, value, theirs, mine)
        model.graph.insert_before(model.graph[0], builder.tape.nodes)
        ir.convenience.replace_all_uses_with(values[mine.name], result, replace_graph_outputs=True)
        model.graph.inputs.append(value)
    return to_bytes(model)


def converted(
    samples: Mapping[str, AnyArray], own: Sequence[InputSpec], shared: Sequence[InputSpec]
) -> dict[str, AnyArray]:
    """Samples of a fragment's model as a pack is fed them.

    Args:
        samples: One array per input of the model by its name, first axis the sample.
        own: What the model is fed.
        shared: The pack's inputs, from `shared_inputs`.

    Returns:
        One array per input of the pack by its name.
    """
    found = {}
    for theirs in shared:
        mine = matching(own, theirs.name)
        values = samples[mine.name]
        found[theirs.name] = values if _fed_alike(mine, theirs) else _run(values, mine, theirs)
    return found


def fed_alike(own: Sequence[InputSpec], shared: Sequence[InputSpec]) -> bool:
    """Whether samples of a fragment's model are fed to a pack as they are."""
    return all(_fed_alike(matching(own, one.name), one) for one in shared)


def _run(values: AnyArray, source: InputSpec, target: InputSpec) -> AnyArray:
    value = _new_value(source, "source")
    graph = ir.Graph([value], [], nodes=[], opset_imports={"": WORKING_OPSET}, name="conversion")
    model = ir.Model(graph, ir_version=WORKING_IR_VERSION)
    builder = _Builder(model, PREFIX)
    result = _convert(builder, value, source, target)
    graph.extend(builder.tape.nodes)
    result.name, result.type = "target", _type(target)
    result.shape = ir.Shape([BATCH, *target.shape])
    graph.outputs.append(result)
    return Runner(to_bytes(model)).run({"source": values}, ("target",))["target"]


def _make_free(graph: ir.Graph, name: str) -> None:
    """Calls whatever has a name in a graph otherwise."""
    values = {str(value.name): value for node in graph for value in node.outputs}
    values |= dict(graph.initializers)
    if name not in values:
        return
    found = values[name]
    other = fresh_name(name, {*values})
    if found.is_initializer():
        del graph.initializers[name]
        found.name = other
        graph.register_initializer(found)
    else:
        found.name = other


@dataclass
class _Builder:
    """Adds nodes for one input."""

    model: ir.Model
    prefix: str
    tape: ir.tape.Tape = field(default_factory=ir.tape.Tape)

    def op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        **attributes: int | str | Sequence[int],
    ) -> ir.Value:
        """Adds a node of one output."""
        taken = {node.name for node in (*self.model.graph, *self.tape.nodes)}
        name = fresh_name(f"{self.prefix}{op_type.lower()}", taken)
        return self.tape.op(op_type, inputs, attributes or None, name=name)

    def constant(self, name: str, values: object, dtype: npt.DTypeLike) -> ir.Value:
        """Adds an initializer."""
        return add_initializer(self.model, self.prefix + name, np.array(values, dtype=dtype))

    def cast(self, value: ir.Value, element_type: str) -> ir.Value:
        """Adds a Cast."""
        return self.op("Cast", [value], to=ir.DataType.from_numpy(np.dtype(element_type)).value)


def _new_value(one: InputSpec, name: str) -> ir.Value:
    return ir.Value(name=name, shape=ir.Shape([BATCH, *one.shape]), type=_type(one))


def _type(one: InputSpec) -> ir.TensorType:
    return ir.TensorType(ir.DataType.from_numpy(np.dtype(one.element_type)))


def _fed_alike(one: InputSpec, other: InputSpec) -> bool:
    """Whether two inputs are fed the same arrays, whatever they are called."""
    if one.shape != other.shape or one.element_type != other.element_type:
        return False
    if not isinstance(one.semantics, Image):
        return True
    same_layout = one.image.channels_last == other.image.channels_last
    return same_layout and _is_identity(*_rescaling(one, other))


def _convert(builder: _Builder, value: ir.Value, source: InputSpec, target: InputSpec) -> ir.Value:
    """Adds the nodes that make one input of another; none where they are fed alike."""
    if _fed_alike(source, target):
        return value
    if isinstance(source.semantics, Text):
        return _convert_text(builder, value, source, target)
    return _convert_picture(builder, value, source, target)


def _convert_picture(
    builder: _Builder, value: ir.Value, source: InputSpec, target: InputSpec
) -> ir.Value:
    """In an order in which branches that need the same beginning share it."""
    scale, offset = _rescaling(source, target)
    same = source.size == target.size and _is_identity(scale, offset)
    if source.element_type == UINT8 and not (same and target.element_type == UINT8):
        value = builder.cast(value, FLOAT32)
    # Between two transpositions, ONNX Runtime 1.31 moves one through a Resize and spoils it.
    stays_last = source.image.channels_last and target.image.channels_last
    if source.image.channels_last and not stays_last:
        value = builder.op("Transpose", [value], perm=_TO_CHANNELS_FIRST)
    if source.size != target.size:
        value = _resize(builder, value, source, target)
    for op_type, factors, neutral in (("Mul", scale, 1.0), ("Add", offset, 0.0)):
        if (factors != neutral).any():
            axes = factors if stays_last else factors.reshape(-1, 1, 1)
            value = builder.op(op_type, [value, builder.constant(op_type, axes, np.float32)])
    if target.element_type == UINT8 and not (same and source.element_type == UINT8):
        value = builder.op("Round", [value])
        bounds = [builder.constant(f"bound{end:.0f}", end, np.float32) for end in (0.0, 255.0)]
        value = builder.cast(builder.op("Clip", [value, *bounds]), UINT8)
    if target.image.channels_last and not stays_last:
        value = builder.op("Transpose", [value], perm=_TO_CHANNELS_LAST)
    return value


def _rescaling(source: InputSpec, target: InputSpec) -> tuple[FloatArray, FloatArray]:
    """What makes a target's value of a source's, per channel: ``value · scale + offset``.

    The ends of the two ranges before normalisation are the same brightness.
    """
    old, new = source.image, target.image
    old_mean, old_deviation = _normalisation(old, source.channels)
    new_mean, new_deviation = _normalisation(new, target.channels)
    stretch = (new.maximum - new.minimum) / (old.maximum - old.minimum)
    scale = old_deviation * stretch / new_deviation
    offset = ((old_mean - old.minimum) * stretch + new.minimum - new_mean) / new_deviation
    scale[np.abs(scale - 1) <= NOTHING] = 1.0
    offset[np.abs(offset) * new_deviation <= NOTHING * (new.maximum - new.minimum)] = 0.0
    return scale, offset


def _is_identity(scale: FloatArray, offset: FloatArray) -> bool:
    return bool((scale == 1).all() and (offset == 0).all())


def _normalisation(semantics: Image, channels: int) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of every channel."""
    mean = np.resize(np.array(semantics.mean or 0.0), channels)
    return mean, np.resize(np.array(semantics.deviation or 1.0), channels)


def _resize(builder: _Builder, value: ir.Value, source: InputSpec, target: InputSpec) -> ir.Value:
    """Linear; where pictures shrink, every pixel averages what it covers."""
    size, wanted = source.size, target.size
    stays_last = source.image.channels_last and target.image.channels_last
    sizes = builder.constant("size", wanted, np.int64)
    return builder.op(
        "Resize",
        [value, None, None, sizes],
        axes=(1, 2) if stays_last else (2, 3),
        mode="linear",
        antialias=int(wanted < size),
        exclude_outside=int(wanted < size),
    )


def _convert_text(
    builder: _Builder, value: ir.Value, source: InputSpec, target: InputSpec
) -> ir.Value:
    """Cuts or fills up texts at their ends."""
    (length,), (wanted,) = source.shape, target.shape
    if wanted < length:
        bounds = [
            builder.constant(name, [number], np.int64)
            for name, number in (("start", 0), ("end", wanted), ("axis", 1))
        ]
        value = builder.op("Slice", [value, *bounds])
    elif wanted > length:
        assert isinstance(source.semantics, Text)
        missing = builder.constant("missing", [0, 0, 0, wanted - length], np.int64)
        padding = builder.constant("padding", source.semantics.padding_id, source.element_type)
        value = builder.op("Pad", [value, missing, padding])
    if source.element_type != target.element_type:
        value = builder.cast(value, target.element_type)
    return value
