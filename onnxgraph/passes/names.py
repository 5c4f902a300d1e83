"""Names for values and nodes that have none."""

import onnx_ir as ir


class ReadableNames:
    """Names for `NameFixPass`: a node without a name is called after its first output."""

    def generate_node_name(self, node: ir.Node) -> str:
        """The node's own name, its first output's, or its operator."""
        return node.name or next((v.name for v in node.outputs if v.name), node.op_type)

    def generate_value_name(self, value: ir.Value) -> str:
        """The value's own name, or `value`."""
        return value.name or "value"


def fresh_name(name: str, taken: set[str | None]) -> str:
    """A name that nothing has yet: the name itself, or the name with the first free number.

    Args:
        name: The wish.
        taken: The names in use; the result is added.
    """
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate
