"""`ModelConfig` to and from the protobuf text format of `config.pbtxt`.

The schema is the one that tritonclient ships, so the text is what the server itself would parse.
"""

from __future__ import annotations

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from serving.model_config.config import (
    DataType,
    DynamicBatching,
    InstanceGroup,
    InstanceKind,
    LatestVersions,
    ModelConfig,
    SpecificVersions,
    TensorConfig,
    Threads,
    VersionPolicy,
)

BACKEND = "onnxruntime"
_INTRA_OP = "intra_op_thread_count"
_INTER_OP = "inter_op_thread_count"


class ModelConfigError(ValueError):
    """A `config.pbtxt` that cannot be read, or that says more than a `ModelConfig` can hold."""


def to_text(config: ModelConfig) -> str:
    """Writes a configuration as `config.pbtxt`.

    `max_batch_size` and `instance_group` are always written: the text format drops a scalar of 0,
    and Triton takes a missing group for two instances on a CPU.

    Args:
        config: What to write.

    Returns:
        The text, ending in a newline; equal configurations give equal bytes.
    """
    text = text_format.MessageToString(_to_message(config))
    if config.max_batch_size == 0:
        text = "max_batch_size: 0\n" + text
    return text


def from_text(text: str) -> ModelConfig:
    """Reads a `config.pbtxt`.

    Args:
        text: The file's content.

    Returns:
        The configuration; `to_text` of it has the same meaning as `text`.

    Raises:
        ModelConfigError: The text is not a model configuration, has a value that `ModelConfig` does
            not know, or sets a field that would be lost.
    """
    message = pb.ModelConfig()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise ModelConfigError(f"not a model configuration: {error}") from error
    config = _from_message(message)
    if _to_message(config) != message:
        raise ModelConfigError(
            f"the configuration of {message.name!r} sets fields that are not supported here: "
            f"{_difference(message, _to_message(config))}"
        )
    return config


def _difference(read: pb.ModelConfig, kept: pb.ModelConfig) -> str:
    names = (field.name for field in pb.ModelConfig.DESCRIPTOR.fields)
    return ", ".join(name for name in names if getattr(read, name) != getattr(kept, name))


def _to_message(config: ModelConfig) -> pb.ModelConfig:
    group = config.instance_group
    message = pb.ModelConfig(
        name=config.name,
        backend=BACKEND,
        max_batch_size=config.max_batch_size,
        input=[
            pb.ModelInput(name=t.name, data_type=pb.DataType.Value(t.data_type), dims=t.dims)
            for t in config.inputs
        ],
        output=[
            pb.ModelOutput(
                name=t.name,
                data_type=pb.DataType.Value(t.data_type),
                dims=t.dims,
                label_filename=t.label_filename or "",
            )
            for t in config.outputs
        ],
        instance_group=[
            pb.ModelInstanceGroup(
                kind=pb.ModelInstanceGroup.Kind.Value(group.kind),
                count=group.count,
                gpus=group.gpus,
            )
        ],
        version_policy=_policy_message(config.version_policy),
    )
    if config.dynamic_batching is not None:
        message.dynamic_batching.SetInParent()
        message.dynamic_batching.MergeFrom(
            pb.ModelDynamicBatching(
                preferred_batch_size=config.dynamic_batching.preferred_batch_sizes,
                max_queue_delay_microseconds=config.dynamic_batching.max_queue_delay_microseconds,
            )
        )
    message.parameters[_INTRA_OP].string_value = str(config.threads.intra_op)
    message.parameters[_INTER_OP].string_value = str(config.threads.inter_op)
    return message


def _policy_message(policy: VersionPolicy) -> pb.ModelVersionPolicy:
    if isinstance(policy, LatestVersions):
        return pb.ModelVersionPolicy(latest={"num_versions": policy.count})
    return pb.ModelVersionPolicy(specific={"versions": policy.versions})


def _from_message(message: pb.ModelConfig) -> ModelConfig:
    if message.backend != BACKEND:
        raise ModelConfigError(f"backend {message.backend!r} is not {BACKEND!r}")
    if len(message.instance_group) != 1:
        raise ModelConfigError(f"{len(message.instance_group)} instance groups instead of one")
    batching = message.dynamic_batching
    return ModelConfig(
        name=message.name,
        max_batch_size=message.max_batch_size,
        inputs=tuple(_tensor(t) for t in message.input),
        outputs=tuple(_tensor(t, t.label_filename or None) for t in message.output),
        instance_group=_group(message.instance_group[0]),
        dynamic_batching=DynamicBatching(
            max_queue_delay_microseconds=batching.max_queue_delay_microseconds,
            preferred_batch_sizes=tuple(batching.preferred_batch_size),
        )
        if message.HasField("dynamic_batching")
        else None,
        version_policy=_policy(message.version_policy),
        threads=Threads(
            intra_op=_parameter(message, _INTRA_OP), inter_op=_parameter(message, _INTER_OP)
        ),
    )


def _tensor(
    message: pb.ModelInput | pb.ModelOutput, label_filename: str | None = None
) -> TensorConfig:
    name = pb.DataType.Name(message.data_type)
    if name not in set(DataType):
        raise ModelConfigError(f"tensor {message.name!r} has the unsupported type {name}")
    return TensorConfig(
        name=message.name,
        data_type=DataType(name),
        dims=tuple(message.dims),
        label_filename=label_filename,
    )


def _group(message: pb.ModelInstanceGroup) -> InstanceGroup:
    name = pb.ModelInstanceGroup.Kind.Name(message.kind)
    if name not in set(InstanceKind):
        raise ModelConfigError(f"instance kind {name} is neither KIND_CPU nor KIND_GPU")
    return InstanceGroup(kind=InstanceKind(name), count=message.count, gpus=tuple(message.gpus))


def _policy(message: pb.ModelVersionPolicy) -> VersionPolicy:
    kind = message.WhichOneof("policy_choice")
    if kind == "latest":
        return LatestVersions(message.latest.num_versions)
    if kind == "specific":
        return SpecificVersions(tuple(message.specific.versions))
    raise ModelConfigError("the version policy is neither `latest` nor `specific`")


def _parameter(message: pb.ModelConfig, key: str) -> int:
    text = message.parameters[key].string_value if key in message.parameters else ""
    if not text.isdecimal():
        raise ModelConfigError(f"the parameter {key!r} is missing or not a number: {text!r}")
    return int(text)
