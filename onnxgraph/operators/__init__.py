"""The operator table: torch meaning, unit flow and cost of every supported operator."""

from onnxgraph.operators.operator import Call, Operator
from onnxgraph.operators.table import TABLE, supported_operators

__all__ = ["TABLE", "Call", "Operator", "supported_operators"]
