"""What can go wrong while serving, each with its reason and one sentence of advice.

The shape is `svckit.errors.DomainError`'s: `svckit.errors.from_exception` turns them into the error
of a service.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar


class ServingError(Exception):
    """The base of serving's errors.

    Attributes:
        reason: The name of a value of `sliceandpack.error.v1.ErrorReason`, without its prefix.
        message: What happened.
        advice: One sentence on what to do about it.
        metadata: Facts as text.
        transient: Whether the same can succeed a little later with nothing else changed.
    """

    reason: ClassVar[str] = "INTERNAL"
    transient: ClassVar[bool] = False

    def __init__(
        self, message: str, *, advice: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{message.rstrip(' .;')}. {advice}")
        self.message = message
        self.advice = advice
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))


class TritonSetupError(ServingError):
    """The embedded Triton cannot be started as this machine or its environment is."""

    reason = "TRITON_UNAVAILABLE"


class TritonUnavailableError(ServingError):
    """Triton does not answer, or answers that it is not ready."""

    reason = "TRITON_UNAVAILABLE"
    transient = True


class TritonDeadlineError(ServingError):
    """Triton took longer than the call allowed."""

    reason = "DEADLINE_EXCEEDED"
    transient = True


class TritonSecretError(ServingError):
    """The call needs the secret of the model-repository API, and had none or another one."""

    reason = "DEPLOYMENT_FAILED"


class ModelNotServedError(ServingError):
    """Triton serves no such model, or not this version of it."""

    reason = "RESOURCE_NOT_FOUND"
    transient = True


class StubDiedError(ServingError):
    """The process behind a model died; Triton does not start it again by itself."""

    reason = "WORKER_DIED"
    transient = True


class InvalidInferenceError(ServingError):
    """The request does not fit the model: names, shapes or types."""

    reason = "SAMPLES_MISMATCH"


class InferenceFailedError(ServingError):
    """The model failed while it computed an answer."""


class ModelLoadError(ServingError):
    """Triton could not load a model; what was served before still is."""

    reason = "DEPLOYMENT_FAILED"


class PlacementError(ServingError):
    """Triton runs a model elsewhere than its configuration asks."""

    reason = "DEPLOYMENT_FAILED"


class SmokeTestError(ServingError):
    """The live Triton answers with other numbers than the proof's stored ones."""

    reason = "SMOKE_TEST_FAILED"


class PackUnavailableError(ServingError):
    """The pack's bytes could not be read from the packer now."""

    reason = "DEPLOYMENT_FAILED"
    transient = True


class PackDamagedError(ServingError):
    """The pack's bytes are not the ones that their digest names."""

    reason = "DIGEST_MISMATCH"


class RepositoryError(ServingError):
    """The model repository refuses: a bad name, a taken version, a second writer."""

    reason = "DEPLOYMENT_FAILED"


class StorageFullError(ServingError):
    """The disk of the model repository is full."""

    reason = "STORAGE_FULL"
    transient = True


class DesiredInvalidError(ServingError):
    """The packer desires what no replica could serve."""

    reason = "DEPLOYMENT_FAILED"


class UnexpectedServingError(ServingError):
    """A fault of the reconciler itself; its log has the traceback."""

    transient = True
