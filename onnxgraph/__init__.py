"""ONNX graphs: safe load, normal form, unit groups, surgery, merge and parity."""
