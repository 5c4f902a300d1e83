"""An executable, trainable torch view of a graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.lookup import opset_of
from onnxgraph.operators import TABLE, Call, Operator

Patch = Callable[[Tensor], Tensor]
_NOTHING: Mapping[str, Tensor] = MappingProxyType({})
_UNPATCHED: Mapping[str, Patch] = MappingProxyType({})


@dataclass(frozen=True)
class _Instruction:
    """One node, ready to be evaluated."""

    operator: Operator
    call: Call
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class _Schedule:
    """What one fetch needs: instructions in order, and the values that each is the last to read."""

    instructions: tuple[_Instruction, ...]
    released: tuple[tuple[str, ...], ...]


class TorchView(nn.Module):
    """A graph as a torch module, evaluated node by node by the operator table.

    Every floating initializer is one trainable Parameter, except settings and statistics
    (bounds of Clip, running means), which are buffers. Dropout and BatchNormalization act as in
    inference. Every floating type of the graph is computed in `dtype`.

    Args:
        model: The graph; it is read once and not changed.
        dtype: The floating type of parameters and of the computation.

    Raises:
        GraphError: `GRAPH_OPERATOR_UNSUPPORTED` if an operator is not in the table.
    """

    def __init__(self, model: ir.Model, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self._model = model.clone()
        self._dtype = dtype
        graph = self._model.graph
        self._input_names = tuple(_name(value) for value in graph.inputs)
        self._output_names = tuple(_name(value) for value in graph.outputs)
        self._slots: dict[str, str] = {}
        for place, (name, value) in enumerate(graph.initializers.items()):
            self._register(f"tensor_{place}", name, value)
        opset = opset_of(self._model)
        self._instructions = tuple(_instruction(node, opset, dtype) for node in graph)
        self._producers = {
            name: place
            for place, instruction in enumerate(self._instructions)
            for name in instruction.outputs
        }
        self._schedules: dict[tuple[tuple[str, ...], frozenset[str]], _Schedule] = {}

    @property
    def input_names(self) -> tuple[str, ...]:
        """The graph's inputs in order."""
        return self._input_names

    @property
    def output_names(self) -> tuple[str, ...]:
        """The graph's outputs in order."""
        return self._output_names

    def tensor(self, name: str) -> Tensor:
        """The Parameter or buffer of the initializer `name`.

        Raises:
            KeyError: If there is no such initializer.
        """
        tensor: Tensor = getattr(self, self._slots[name])
        return tensor

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Evaluates the whole graph.

        Args:
            *inputs: The graph's inputs in order, the batch on their first axis.

        Returns:
            The graph's outputs in order.
        """
        known = dict(zip(self._input_names, inputs, strict=True))
        found = self.run(known, fetch=self._output_names)
        return tuple(found[name] for name in self._output_names)

    def run(
        self,
        inputs: Mapping[str, Tensor],
        *,
        fetch: Sequence[str],
        patch: Mapping[str, Patch] = _UNPATCHED,
        start: Mapping[str, Tensor] = _NOTHING,
    ) -> dict[str, Tensor]:
        """Evaluates what `fetch` needs and nothing else.

        Args:
            inputs: The graph's inputs by name; those that `fetch` does not need may be missing.
            fetch: Names of the values to return: of inputs, nodes or initializers.
            patch: Functions applied to a value the moment it is produced (to an input: the moment
                it is given), before anyone reads it.
            start: Values already known, patched or not as they are: nodes that only they need
                are not evaluated.

        Returns:
            The fetched values by name.

        Raises:
            KeyError: If a fetched or patched name is no value of the graph, or a needed input
                is missing.
        """
        unknown = [n for n in patch if n not in self._producers and n not in self._input_names]
        if unknown:
            raise KeyError(f"no node or input gives the patched values {unknown}")
        schedule = self._schedule(tuple(fetch), frozenset(start))
        values = {name: self._admit(name, tensor, patch) for name, tensor in inputs.items()}
        values.update(start)
        kept = set(fetch)
        for instruction, released in zip(schedule.instructions, schedule.released, strict=True):
            self._evaluate(instruction, values, patch)
            for name in released:
                if name not in kept:
                    values.pop(name, None)
        return {name: self._read(name, values) for name in fetch}

    def write_back(self) -> ir.Model:
        """A copy of the model with the current parameter values, in their original types."""
        model = self._model.clone()
        for name, slot in self._slots.items():
            current: Tensor = getattr(self, slot)
            value = model.graph.initializers[name]
            assert value.const_value is not None
            if isinstance(current, nn.Parameter):
                array = current.detach().cpu().numpy().astype(value.const_value.numpy().dtype)
                value.const_value = ir.tensor(array, name=name)
        return model

    def _register(self, slot: str, name: str, value: ir.Value) -> None:
        assert value.const_value is not None
        array = torch.from_numpy(np.array(value.const_value.numpy()))
        if not array.is_floating_point():
            self.register_buffer(slot, array)
        elif _is_setting(value):
            self.register_buffer(slot, array.to(self._dtype))
        else:
            self.register_parameter(slot, nn.Parameter(array.to(self._dtype)))
        self._slots[name] = slot

    @property
    def device(self) -> torch.device:
        """Where the graph is evaluated; inputs are brought there."""
        return next((tensor.device for tensor in self.parameters()), torch.device("cpu"))

    def _admit(self, name: str, tensor: Tensor, patch: Mapping[str, Patch]) -> Tensor:
        tensor = tensor.to(self.device, self._dtype if tensor.is_floating_point() else None)
        return patch[name](tensor) if name in patch else tensor

    def _read(self, name: str, values: Mapping[str, Tensor]) -> Tensor:
        if name in values:
            return values[name]
        if name in self._slots:
            return self.tensor(name)
        raise KeyError(f"input '{name}' is needed and was not given")

    def _evaluate(
        self, instruction: _Instruction, values: dict[str, Tensor], patch: Mapping[str, Patch]
    ) -> None:
        operands = [
            None if name is None else self._read(name, values) for name in instruction.inputs
        ]
        result = instruction.operator.evaluate(instruction.call, *operands)
        outputs = result if isinstance(result, tuple) else (result,)
        for name, output in zip(instruction.outputs, outputs, strict=True):
            values[name] = patch[name](output) if name in patch else output

    def _schedule(self, fetch: tuple[str, ...], known: frozenset[str]) -> _Schedule:
        key = (fetch, known)
        if key not in self._schedules:
            if len(self._schedules) >= 256:
                self._schedules.clear()
            self._schedules[key] = self._plan(fetch, known)
        return self._schedules[key]

    def _plan(self, fetch: tuple[str, ...], known: Collection[str]) -> _Schedule:
        for name in fetch:
            if not (name in self._producers or name in self._slots or name in self._input_names):
                raise KeyError(f"'{name}' is no value of the graph")
        needed: set[int] = set()
        waiting = [name for name in fetch if name not in known]
        while waiting:
            place = self._producers.get(waiting.pop())
            if place is None or place in needed:
                continue
            needed.add(place)
            waiting += [n for n in self._instructions[place].inputs if n and n not in known]
        instructions = tuple(self._instructions[place] for place in sorted(needed))
        last = {n: i for i, step in enumerate(instructions) for n in step.inputs if n}
        released: list[list[str]] = [[] for _ in instructions]
        for name, place in last.items():
            released[place].append(name)
        return _Schedule(instructions, tuple(tuple(names) for names in released))


def _name(value: ir.Value) -> str:
    assert value.name is not None
    return value.name


def _instruction(node: ir.Node, opset: int, dtype: torch.dtype) -> _Instruction:
    operator = TABLE.get(node.op_type) if node.domain == "" else None
    if operator is None:
        raise _unsupported(
            node, f"Node '{node.name}' is a {node.domain or 'ai.onnx'}.{node.op_type}."
        )
    if any(
        output.uses() or output.is_graph_output() for output in node.outputs[operator.outputs :]
    ):
        raise _unsupported(node, f"A further output of {node.op_type} '{node.name}' is used.")
    return _Instruction(
        operator=operator,
        call=Call.of(node, opset, dtype),
        inputs=tuple(None if value is None else _name(value) for value in node.inputs),
        outputs=tuple(_name(value) for value in node.outputs[: operator.outputs]),
    )


def _unsupported(node: ir.Node, message: str) -> GraphError:
    return GraphError(
        GraphReason.GRAPH_OPERATOR_UNSUPPORTED,
        message,
        advice="Export the model with standard operators of CNNs and MLPs only.",
        node=node.name,
        metadata={"operator": node.op_type},
    )


def _is_setting(value: ir.Value) -> bool:
    """Whether every use of an initializer is a setting rather than a weight."""
    uses = value.uses()
    return bool(uses) and all(
        use.node.op_type in TABLE and use.idx in TABLE[use.node.op_type].settings for use in uses
    )
