"""Unit flow through the Attention operator: whole heads."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxgraph.operators.shrunk import Shrunk
from onnxgraph.operators.step import Placed, Step
from onnxgraph.operators.units import AxisUnits, Grid

QUERY, KEY, VALUE, MASK = range(4)
_APART = "joins heads with values that are not cut with them"


def attended(step: Step) -> None:
    """Attention: the places of one head of queries, keys and values go together.

    Heads that share keys and values are one unit (grouped queries, Ainslie et al. 2023).
    """
    counts = _head_counts(step)
    caches = any(value is not None for value in step.node.inputs[MASK + 1 :])
    if counts is None or caches or any(output.uses() for output in step.node.outputs[1:]):
        step.block("has heads of unknown number, cached keys, or a second output that is used")
        return
    repeats = counts[QUERY] // counts[KEY]
    heads = [_heads(step, index, counts[index]) for index in (QUERY, KEY, VALUE)]
    found = [units for units in heads if units is not None]
    if not found:
        return
    if len(found) < len(heads):
        step.block(_APART)
        return
    shared = [
        units if index == QUERY else units.take(np.repeat(np.arange(units.size), repeats))
        for index, units in enumerate(found)
    ]
    for units in shared[1:]:
        step.ledger.couple(shared[QUERY], units, step.reason(_APART))
    _cut_mask(step, shared[QUERY])
    step.emit_all([_repeated(step, counts[VALUE], repeats)])


def heads_shrunk(shrunk: Shrunk) -> None:
    """As many places in each head as before, where the heads are merged with them."""
    for name, index in (("q_num_heads", QUERY), ("kv_num_heads", KEY)):
        places = shrunk.input(index).get(2)
        if places is not None and name in shrunk.node.attributes:
            heads = shrunk.node.attributes[name].as_int() * places.left.size // places.size
            shrunk.node.attributes[name] = ir.AttrInt64(name, heads)


def _head_counts(step: Step) -> tuple[int, int, int] | None:
    """Heads of queries, keys and values: an axis of their own, or attributes."""
    if len(step.dims()) == 3:
        queries, keys = step.call.integer("q_num_heads", 0), step.call.integer("kv_num_heads", 0)
    else:
        queries, keys = ((step.dims(i) or (None,) * 4)[1] or 0 for i in (QUERY, KEY))
    return (queries, keys, keys) if queries and keys else None


def _heads(step: Step, index: int, heads: int) -> AxisUnits | None:
    """One unit for each head of an operand; None if it holds no units there."""
    merged = len(step.dims(index)) == 3
    axis = 2 if merged else 1
    for own, units in step.layout(index).items():
        if own != axis:
            step.freeze(units, "mixes units across an axis that holds no heads")
    for grid in step.grids(index):
        if axis in grid.axes and not merged:
            return step.across(grid, axis)
        step.freeze(grid, "mixes units across an axis that holds no heads")
    along = step.layout(index).get(axis)
    if along is None:
        return None
    lines = along.units.reshape(heads, -1)
    step.ledger.tie(lines, step.reason(_APART))
    return AxisUnits(lines[:, 0].copy(), np.zeros(heads, np.int64))


def _cut_mask(step: Step, heads: AxisUnits) -> None:
    """The mask may hold a place for each head."""
    dims = step.dims(MASK)
    axis = len(dims) - 3
    if axis < 0 or dims[axis] == 1:
        return
    units = step.layout(MASK).get(axis)
    if step.parameter(MASK) is not None:
        step.ledger.cut_along(step.name, MASK, axis, heads)
    elif units is not None:
        flat = AxisUnits(units.units, np.zeros_like(units.phase))
        step.ledger.couple(heads, flat, step.reason(_APART))
    else:
        step.freeze(heads, _APART)


def _repeated(step: Step, heads: int, repeats: int) -> Placed:
    """The output's units: those of the values, once for each head of queries that reads them."""
    merged = len(step.dims(VALUE)) == 3
    axis = 2 if merged else 1
    for grid in step.grids(VALUE):
        taken = grid.take(axis, np.repeat(np.arange(heads), repeats))
        return Placed(grids=(Grid(taken.axes, taken.units, _later(taken, axis, repeats)),))
    units = step.layout(VALUE)[axis]
    block = units.size // heads
    order = np.arange(units.size).reshape(heads, block).repeat(repeats, axis=0).reshape(-1)
    copies = np.tile(np.arange(repeats).repeat(block), heads)
    phase = units.phase[order] + copies * (int(units.phase.max(initial=0)) + 1)
    return Placed({axis: AxisUnits(units.units[order], phase)})


def _later(grid: Grid, axis: int, repeats: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The phases of a grid whose places along an axis are copies: further places of their units."""
    place = grid.axes.index(axis)
    shape = [1] * grid.units.ndim
    shape[place] = grid.units.shape[place]
    copies = (np.arange(shape[place]) % repeats).reshape(shape)
    return grid.phase + copies * (int(grid.phase.max(initial=0)) + 1)
