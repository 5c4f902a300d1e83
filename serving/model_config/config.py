"""What one Triton model is served as: tensors, batching, instances, versions, threads.

Field names and meaning follow Triton's `model_config.proto`
(https://docs.nvidia.com/deeplearning/triton-inference-server/, "Model Configuration"). Only what a
pack needs is here: no ensembles, sequences, warm-up or custom batchers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DataType(StrEnum):
    """A tensor's element type, by Triton's name; those that ONNX Runtime takes from numpy."""

    BOOL = "TYPE_BOOL"
    UINT8 = "TYPE_UINT8"
    UINT16 = "TYPE_UINT16"
    UINT32 = "TYPE_UINT32"
    UINT64 = "TYPE_UINT64"
    INT8 = "TYPE_INT8"
    INT16 = "TYPE_INT16"
    INT32 = "TYPE_INT32"
    INT64 = "TYPE_INT64"
    FP16 = "TYPE_FP16"
    FP32 = "TYPE_FP32"
    FP64 = "TYPE_FP64"


@dataclass(frozen=True)
class TensorConfig:
    """One input or output of a model.

    Attributes:
        name: The tensor's name, as in the ONNX graph.
        data_type: Its element type.
        dims: Its shape, -1 for a free dimension. Without the batch axis where the model's
            `max_batch_size` is at least 1, with every axis where it is 0.
        label_filename: For an output with class scores: the file, beside `config.pbtxt`, that has
            one class label a line; the classification extension answers from it.
    """

    name: str
    data_type: DataType
    dims: tuple[int, ...]
    label_filename: str | None = None


@dataclass(frozen=True)
class DynamicBatching:
    """How Triton gathers requests into one batch.

    Attributes:
        max_queue_delay_microseconds: How long a request may wait for company. 0 still batches
            whatever queued up while the instances were busy, and costs a lone client nothing.
        preferred_batch_sizes: Sizes at which a batch leaves at once.
    """

    max_queue_delay_microseconds: int = 0
    preferred_batch_sizes: tuple[int, ...] = ()


class InstanceKind(StrEnum):
    """Where the instances of a model run, by Triton's name."""

    CPU = "KIND_CPU"
    GPU = "KIND_GPU"


@dataclass(frozen=True)
class InstanceGroup:
    """How many copies of a model run, and where.

    Attributes:
        kind: On the CPU or on GPUs. A GPU group fails to load on a machine without one.
        count: Instances (per GPU, where the kind is GPU); each is a process of its own on the
            embedded Triton.
        gpus: GPU indices; empty means every GPU. Only with `InstanceKind.GPU`.
    """

    kind: InstanceKind = InstanceKind.CPU
    count: int = 1
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True)
class LatestVersions:
    """Serve the highest `count` version numbers that the repository has."""

    count: int = 1


@dataclass(frozen=True)
class SpecificVersions:
    """Serve exactly these version numbers."""

    versions: tuple[int, ...]


VersionPolicy = LatestVersions | SpecificVersions


@dataclass(frozen=True)
class Threads:
    """ONNX Runtime's threads per instance, by the parameter names of Triton's own backend.

    Attributes:
        intra_op: `intra_op_thread_count`: threads inside one operator.
        inter_op: `inter_op_thread_count`: operators run at the same time.
    """

    intra_op: int = 1
    inter_op: int = 1


@dataclass(frozen=True)
class ModelConfig:
    """One model of Triton's repository, served by the backend `onnxruntime`.

    Attributes:
        name: The name that clients call; the name of the model's folder.
        max_batch_size: Largest batch of one execution; 0: the model has no batch axis of its own
            and Triton never batches.
        inputs: The graph's inputs.
        outputs: The graph's outputs that clients may ask for.
        instance_group: Copies of the model.
        dynamic_batching: None: requests run one by one. Needs `max_batch_size` of at least 1.
        version_policy: Which of the version folders are served.
        threads: ONNX Runtime's threads per instance.
    """

    name: str
    max_batch_size: int
    inputs: tuple[TensorConfig, ...]
    outputs: tuple[TensorConfig, ...]
    instance_group: InstanceGroup = InstanceGroup()
    dynamic_batching: DynamicBatching | None = None
    version_policy: VersionPolicy = LatestVersions()
    threads: Threads = Threads()
