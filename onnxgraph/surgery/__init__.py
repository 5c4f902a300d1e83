"""Cutting unit groups out of a graph, with the repair fused into the consumers."""

from onnxgraph.surgery.cutting import cut, cut_all, cut_unfused
from onnxgraph.surgery.types import Cut, Repair

__all__ = ["Cut", "Repair", "cut", "cut_all", "cut_unfused"]
