"""Timing with ONNX Runtime on one thread."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from onnxgraph.session import open_session
from slicer_svc.slicing.latency.single_node import SingleNode, added

LEAST_RUNS = 4
"""Runs of a session, the first not counted: a node's time is its least in the others."""

MOST_RUNS = 24
"""Runs after which a time does not get better."""

Feeds = Mapping[str, NDArray[np.generic]]


def node_times(singles: Sequence[SingleNode], opset: int, seconds: float) -> list[float]:
    """The time of each of several nodes, by the runtime's own profile.

    All stand side by side in one graph, so that the processor's caches hold of their weights what
    they hold while the whole runs. Changes of layout around a node are not counted.

    Args:
        singles: The nodes of one graph.
        opset: Their version of the default operator set.
        seconds: After so long no further run is begun once there are enough.

    Returns:
        Milliseconds of each node.
    """
    graph = onnx.GraphProto(name="nodes")
    feeds: dict[str, NDArray[np.generic]] = {}
    for place, single in enumerate(singles):
        feeds.update(added(graph, single, f"n{place}"))
    imports = [onnx.helper.make_opsetid("", opset)]
    version = onnx.helper.find_min_ir_version_for(imports)
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=version)
    with tempfile.TemporaryDirectory() as folder:
        options = _options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = open_session(model.SerializeToString(), options)
        runs = 0
        for _ in _runs(seconds):
            session.run(None, feeds)
            runs += 1
        profile = json.loads(Path(session.end_profiling()).read_text())
    return _least_times(profile, len(singles), runs)


def model_time(data: bytes, feeds: Feeds, seconds: float) -> float:
    """Milliseconds of a whole graph, the least of several runs.

    It is the thread's own time that counts, which others on a busy processor do not lengthen.

    Args:
        data: The serialised graph.
        feeds: One sample.
        seconds: After so long no further run is begun once there are enough.
    """
    session = open_session(data, _options())
    times = []
    for _ in _runs(seconds):
        start = time.thread_time()
        session.run(None, dict(feeds))
        times.append(time.thread_time() - start)
    return 1e3 * min(times)


def _runs(seconds: float) -> Iterator[int]:
    end = time.perf_counter() + seconds
    for run in range(MOST_RUNS):
        if run >= LEAST_RUNS and time.perf_counter() > end:
            return
        yield run


def _least_times(profile: Sequence[Mapping[str, object]], nodes: int, runs: int) -> list[float]:
    """The least time of every node in a profile, its first run left out, in milliseconds."""
    found: list[list[float]] = [[] for _ in range(nodes)]
    for event in profile:
        name = str(event["name"])
        # Changes of layout have names of their own; a node's starts with its number.
        if event.get("cat") == "Node" and name.startswith("n") and name.endswith("_kernel_time"):
            place = int(name[1:].partition(":")[0])
            found[place].append(float(str(event["dur"])))
    # A node that the runtime takes apart has several events a run.
    by_run = [np.array(times).reshape(runs, -1).sum(axis=1) for times in found]
    return [float(times[1:].min()) / 1e3 for times in by_run]


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    return options
