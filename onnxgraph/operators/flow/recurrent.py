"""Unit flow through LSTM, GRU and RNN: hidden units begin here and are read by the node itself."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxgraph.operators.facet import LinearFacet
from onnxgraph.operators.recurrence import RECURRENT_WEIGHT
from onnxgraph.operators.shrunk import Shrunk
from onnxgraph.operators.step import Step
from onnxgraph.operators.units import AxisUnits

_STEPS, _STATES = 3, 2
"""The axis of hidden units in Y `(steps, 1, N, H)`, and in Y_h, Y_c and initial states."""


def recurrent(step: Step, facet: LinearFacet, gates: int) -> None:
    """Contracts the data's last axis with W and numbers hidden units afresh.

    A unit holds one row of every gate in W, R and B, one column of R, one place of every peephole
    and of each initial state.

    Args:
        step: The node, of one direction.
        facet: The facet of W.
        gates: Rows of W per hidden unit.
    """
    weight, recurrence = step.parameter(1), step.parameter(RECURRENT_WEIGHT)
    if weight is None or recurrence is None or not facet.applies(step.call, weight.shape):
        step.block(facet.refusal)
        return
    for axis, units in step.layout().items():
        if axis == 2:
            step.ledger.consume(step.name, axis, units)
        else:
            step.freeze(units, "works across an axis that holds units")
    hidden = step.ledger.produce(step.name, recurrence.shape[2])
    step.ledger.recur(step.name, _STEPS, hidden)
    rows = _repeated(hidden, gates)
    step.ledger.cut_along(step.name, 1, 1, rows)
    step.ledger.cut_along(step.name, RECURRENT_WEIGHT, 1, rows)
    _cut_constant(step, 3, _repeated(hidden, 2 * gates))
    _cut_constant(step, 7, _repeated(hidden, 3))
    for index in (5, 6):
        hidden = _start(step, index, hidden)
    if not step.node.outputs[0].name:
        step.freeze(hidden, "keeps its states for itself")
    if step.call.op_type == "GRU" and not step.call.integer("linear_before_reset", 0):
        step.freeze(
            hidden,
            "resets its state before the recurrent matrix (linear_before_reset=0), where no repair "
            "of the state folds into it",
        )
    step.emit({_STEPS: hidden})
    for output in (1, 2):
        step.emit({_STATES: hidden}, output=output)


def hidden_size(shrunk: Shrunk) -> None:
    """Writes how many hidden units are left."""
    units = shrunk.output().get(_STEPS)
    if units is not None:
        shrunk.node.attributes["hidden_size"] = ir.AttrInt64("hidden_size", units.left.size)


def _repeated(hidden: AxisUnits, gates: int) -> AxisUnits:
    """The hidden units once per gate, gate by gate."""
    phases = np.repeat(np.arange(gates, dtype=np.int64), hidden.size)
    return AxisUnits(np.tile(hidden.units, gates), phases)


def _cut_constant(step: Step, index: int, units: AxisUnits) -> None:
    if index >= step.arity or step.node.inputs[index] is None:
        return
    if step.parameter(index) is None:
        step.freeze(units, "has a computed bias or peephole")
    else:
        step.ledger.cut_along(step.name, index, 1, units)


def _start(step: Step, index: int, hidden: AxisUnits) -> AxisUnits:
    """Couples the hidden units with an initial state, if one is given."""
    if index >= step.arity or step.node.inputs[index] is None:
        return hidden
    if step.parameter(index) is not None:
        step.ledger.cut_along(step.name, index, _STATES, hidden)
        return hidden
    given = step.layout(index).get(_STATES, AxisUnits.nothing(hidden.size))
    return step.ledger.couple(
        hidden, given, step.reason("starts from a state that is not cut with its units")
    )
