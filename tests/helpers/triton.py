"""A real embedded Triton for tests, in a thread with an event loop of its own.

The thread outlives the tests' own short loops, so that Triton's output is read all the time and the
parent-death signal, which belongs to the thread that started the process, comes only at the end.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from serving.embedded.environment import TritonEnvironment, locate
from serving.embedded.server import EmbeddedTriton, TritonOptions
from serving.model_config import DataType, DynamicBatching, ModelConfig, TensorConfig
from serving.repository import ModelRepository
from serving.version_folder import NewVersion, VersionManifest

ROOT = Path(__file__).resolve().parents[2]
FEATURES = 4
LABELS = ("cat", "dog", "ship")
_Result = TypeVar("_Result")


def triton_environment() -> TritonEnvironment:
    """The project's `.triton`; a missing one fails the test with the sentence of `locate`."""
    return locate(ROOT / ".triton")


class RunningTriton:
    """A started Triton whose coroutines run in its thread."""

    def __init__(self, triton: EmbeddedTriton, loop: asyncio.AbstractEventLoop) -> None:
        self.triton = triton
        self._loop = loop

    def call(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Runs a coroutine in Triton's thread and waits for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=60)


@contextmanager
def running_triton(folder: Path) -> Iterator[RunningTriton]:
    """Starts an embedded Triton over `folder/models` and stops it at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    (folder / "models").mkdir(parents=True, exist_ok=True)
    options = TritonOptions(models=folder / "models", backends=folder / "backends", exit_seconds=0)
    running = RunningTriton(EmbeddedTriton(triton_environment(), options), loop)
    try:
        running.call(running.triton.prepare())
        running.call(running.triton.start())
        yield running
    finally:
        running.call(running.triton.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


def living_children(parent: int | None) -> set[int]:
    """The process ids of the living children of a process."""
    found: set[int] = set()
    for thread in Path(f"/proc/{parent}/task").iterdir():
        with suppress(FileNotFoundError):  # The thread may have ended meanwhile.
            found.update(map(int, (thread / "children").read_text().split()))
    return set(filter(process_is_alive, found))


def server_process(triton: EmbeddedTriton) -> int:
    """The process id of `tritonserver` itself, its guardian's only child."""
    (pid,) = living_children(triton.pid)
    return pid


def living_stubs(triton: EmbeddedTriton) -> set[int]:
    """The process ids of the living stubs of a Triton."""
    return living_children(server_process(triton))


def process_is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def weights(seed: int) -> npt.NDArray[np.float32]:
    """The (4, 3) weight of the classifier of that seed."""
    return np.random.default_rng(seed).normal(size=(FEATURES, len(LABELS))).astype(np.float32)


def classifier(seed: int, *, input_name: str = "x") -> bytes:
    """A tiny pack: softmax(x @ weights(seed)), batch symbolic, opset 17."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", [input_name, "w"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        ],
        "classifier",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["N", FEATURES])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(LABELS)])],
        [numpy_helper.from_array(weights(seed), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def answers(seed: int, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """What the classifier of that seed has to answer, computed by numpy in float64."""
    scores = x.astype(np.float64) @ weights(seed).astype(np.float64)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def samples(count: int = 5, seed: int = 0) -> npt.NDArray[np.float32]:
    """Inputs of shape (count, 4)."""
    return np.random.default_rng(seed).normal(size=(count, FEATURES)).astype(np.float32)


def classifier_config(name: str, *, batching: bool = True) -> ModelConfig:
    """The configuration that fits `classifier`."""
    return ModelConfig(
        name=name,
        max_batch_size=64,
        inputs=(TensorConfig("x", DataType.FP32, (FEATURES,)),),
        outputs=(TensorConfig("probabilities", DataType.FP32, (len(LABELS),), "labels.txt"),),
        dynamic_batching=DynamicBatching() if batching else None,
    )


def add_classifier(
    repository: ModelRepository, name: str, version: int, seed: int, **changes: Any
) -> None:
    """Adds the classifier of a seed as a version, with a smoke test that has the right answers."""
    model, smoke_test = (repository.staging / f"{seed}-{version}{end}" for end in ("", "-smoke"))
    model.write_bytes(changes.pop("graph", None) or classifier(seed))
    x = samples()
    right = {"input/x": x, "output/probabilities": answers(seed, x).astype(np.float32)}
    with smoke_test.open("wb") as file:
        np.savez(file, allow_pickle=False, **right)
    new = NewVersion(
        manifest=VersionManifest(
            version,
            f"packs/p{seed}",
            *(f"sha256:{sha256(path.read_bytes()).hexdigest()}" for path in (model, smoke_test)),
        ),
        model=model,
        smoke_test=smoke_test,
        config=changes.pop("config", None) or classifier_config(name),
        labels=changes.pop("labels", LABELS),
    )
    assert not changes, changes
    repository.add(name, new)
