"""Triton's backend `onnxruntime` for the embedded server, as a Python-based backend.

Runs inside Triton's Python stub, in the environment of `.triton` (numpy 1.26; numpy 2 gives
silently wrong tensors there), so it imports nothing of this project. In production the same
`config.pbtxt` is served by Triton's own C++ backend of that name.
"""

# Triton's Python objects have no types.
# ruff: noqa: ANN401

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

# Triton's element types by ONNX Runtime's name. TYPE_STRING and TYPE_BF16 are left out: numpy has
# no bfloat16, and no test of ours has run a string tensor through the stub.
_TRITON_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
}


class TritonPythonModel:
    """One instance of one version of one ONNX model."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: Any) -> Any:
        """Completes nothing: the configuration is always written in full."""
        return auto_complete_model_config

    def initialize(self, args: Mapping[str, str]) -> None:
        """Loads the version's ONNX file and holds it against the configuration.

        Args:
            args: Triton's: `model_config` (JSON), `model_repository` (the model's folder) and
                `model_version`.

        Raises:
            pb_utils.TritonModelException: The graph and the configuration do not fit together, or
                ONNX Runtime cannot load the graph. Triton then reports the load as failed.
        """
        config = json.loads(args["model_config"])
        filename = config.get("default_model_filename") or "model.onnx"
        path = Path(args["model_repository"], args["model_version"], filename)
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), _session_options(config), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise pb_utils.TritonModelException(
                f"ONNX Runtime refuses the graph: {error}"
            ) from error
        self._batched = int(config.get("max_batch_size", 0)) > 0
        self._inputs = [entry["name"] for entry in config["input"]]
        complaints = _complaints(config, self._session, batched=self._batched)
        if complaints:
            raise pb_utils.TritonModelException(
                "config.pbtxt does not fit the graph: " + "; ".join(complaints)
            )

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answers requests, in their order; one that fails has an error of its own.

        Args:
            requests: What Triton's scheduler handed over; several only with dynamic batching.

        Returns:
            One `InferenceResponse` a request.
        """
        feeds = [self._feed(request) for request in requests]
        wanted = [list(request.requested_output_names()) for request in requests]
        if len(requests) == 1 or not self._batched:
            return [self._answer(feed, names) for feed, names in zip(feeds, wanted, strict=True)]
        responses: list[Any] = [None] * len(requests)
        for group in _groups_of_equal_shape(feeds):
            for index, response in zip(
                group, self._answer_group(group, feeds, wanted), strict=True
            ):
                responses[index] = response
        return responses

    def finalize(self) -> None:
        """Frees the graph before the stub ends."""
        del self._session

    def _feed(self, request: Any) -> dict[str, np.ndarray]:
        return {
            name: pb_utils.get_input_tensor_by_name(request, name).as_numpy()
            for name in self._inputs
        }

    def _answer(self, feed: Mapping[str, np.ndarray], names: Sequence[str]) -> Any:
        try:
            arrays = self._session.run(names, feed)
        except Exception as error:  # Whatever ONNX Runtime raises belongs to this request alone.
            return _failure(error)
        return _response(names, arrays)

    def _answer_group(
        self,
        group: Sequence[int],
        feeds: Sequence[Mapping[str, np.ndarray]],
        wanted: Sequence[Sequence[str]],
    ) -> list[Any]:
        """Runs requests of equal shapes as one batch and splits what comes out."""
        names = sorted({name for index in group for name in wanted[index]})
        feed = {
            name: np.concatenate([feeds[index][name] for index in group]) for name in self._inputs
        }
        try:
            arrays = dict(zip(names, self._session.run(names, feed), strict=True))
        except Exception:
            # One bad request must not fail its neighbours in the batch: each is tried alone, and
            # the guilty one gets the error.
            return [self._answer(feeds[index], wanted[index]) for index in group]
        sizes = [len(feeds[index][self._inputs[0]]) for index in group]
        ends = np.cumsum(sizes)
        return [
            _response(wanted[index], [arrays[name][end - size : end] for name in wanted[index]])
            for index, size, end in zip(group, sizes, ends, strict=True)
        ]


def _session_options(config: Mapping[str, Any]) -> onnxruntime.SessionOptions:
    parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(parameters.get("intra_op_thread_count", "1"))
    options.inter_op_num_threads = int(parameters.get("inter_op_thread_count", "1"))
    # A spinning thread takes a core from the other instances and wins nothing measurable.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _groups_of_equal_shape(feeds: Sequence[Mapping[str, np.ndarray]]) -> list[list[int]]:
    groups: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for index, feed in enumerate(feeds):
        groups[tuple((name, array.shape[1:]) for name, array in feed.items())].append(index)
    return list(groups.values())


def _complaints(
    config: Mapping[str, Any], session: onnxruntime.InferenceSession, *, batched: bool
) -> list[str]:
    """Says where configuration and graph differ; Triton would find out at the first request."""
    graph_inputs = {node.name: node for node in session.get_inputs()}
    graph_outputs = {node.name: node for node in session.get_outputs()}
    configured = {entry["name"] for entry in config["input"]}
    found = [
        f"input {name!r} of the graph is not configured"
        for name in sorted(graph_inputs.keys() - configured)
    ]
    for kind, entries, nodes in (
        ("input", config["input"], graph_inputs),
        ("output", config["output"], graph_outputs),
    ):
        for entry in entries:
            node = nodes.get(entry["name"])
            if node is None:
                found.append(f"{kind} {entry['name']!r} is not in the graph")
            else:
                found += [
                    f"{kind} {entry['name']!r} {text}" for text in _unlike(entry, node, batched)
                ]
    return found


def _unlike(entry: Mapping[str, Any], node: Any, batched: bool) -> list[str]:
    found = []
    graph_type = _TRITON_TYPES.get(node.type, f"unsupported {node.type}")
    if entry["data_type"] != graph_type:
        found.append(f"is {entry['data_type']} but {graph_type} in the graph")
    graph_dims = [dim if isinstance(dim, int) else -1 for dim in node.shape]
    dims = [int(dim) for dim in entry["dims"]]
    expected = [-1, *dims] if batched else dims
    if batched and graph_dims[:1] != [-1]:
        found.append(f"has no free batch axis in the graph: {graph_dims}")
    elif len(expected) != len(graph_dims) or any(
        fixed not in (-1, dim) for fixed, dim in zip(graph_dims, expected, strict=True)
    ):
        found.append(f"has dims {dims} but {graph_dims} in the graph")
    return found


def _response(names: Sequence[str], arrays: Sequence[np.ndarray]) -> Any:
    return pb_utils.InferenceResponse(
        [
            pb_utils.Tensor(name, np.ascontiguousarray(array))
            for name, array in zip(names, arrays, strict=True)
        ]
    )


def _failure(error: Exception) -> Any:
    return pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(str(error)))
