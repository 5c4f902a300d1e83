"""Triton's `config.pbtxt` as frozen dataclasses, read and written both ways."""

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
from serving.model_config.text import ModelConfigError, from_text, to_text

__all__ = [
    "DataType",
    "DynamicBatching",
    "InstanceGroup",
    "InstanceKind",
    "LatestVersions",
    "ModelConfig",
    "ModelConfigError",
    "SpecificVersions",
    "TensorConfig",
    "Threads",
    "VersionPolicy",
    "from_text",
    "to_text",
]
