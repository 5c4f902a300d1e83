"""What the safe load says about a model that it refuses."""

import pytest
from onnx import ModelProto

from onnxgraph.errors import GraphError
from onnxgraph.limits import Limits
from onnxgraph.load import load_model


def refusal(data: bytes | ModelProto, limits: Limits | None = None) -> GraphError:
    """The error of `load_model`, which must name advice; no error fails the test."""
    data = data if isinstance(data, bytes) else data.SerializeToString()
    with pytest.raises(GraphError) as caught:
        load_model(data, limits=limits or Limits())
    error = caught.value
    assert error.message
    assert error.advice.endswith(".")
    return error
