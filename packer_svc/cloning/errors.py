"""Why classes cannot be cloned: one exception, with a stable reason and advice."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class CloningReason(StrEnum):
    """Why nothing is cloned. Stable names, the same as in the contracts' ErrorReason."""

    CLONE_POSITION_UNKNOWN = "CLONE_POSITION_UNKNOWN"
    """The target has no such place to put a part in."""


class CloningError(Exception):
    """Classes cannot be cloned; of the same shape as `packer_svc.fusion.errors.FusionError`.

    Attributes:
        reason: The stable reason.
        message: What is wrong.
        advice: One sentence on what to do about it.
        metadata: Further facts as text.
    """

    def __init__(
        self,
        reason: CloningReason,
        message: str,
        *,
        advice: str,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message} {advice}")
        self.reason = reason
        self.message = message
        self.advice = advice
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))
