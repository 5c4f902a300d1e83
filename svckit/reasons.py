"""The one table from reasons to canonical codes, and which reasons can be tried again.

The reasons themselves are the proto enum ``sliceandpack.error.v1.ErrorReason``; `docs/errors.md`
is made from both.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import grpc
from sliceandpack.error.v1 import error_reason_pb2 as pb

DOMAIN: Final = "sliceandpack"
"""The ``ErrorInfo.domain`` of every reason."""

PREFIX: Final = "ERROR_REASON_"
"""What a value of the enum has in front of its reason."""

_BY_CODE: Mapping[grpc.StatusCode, tuple[pb.ErrorReason.ValueType, ...]] = {
    grpc.StatusCode.UNKNOWN: (pb.ERROR_REASON_UNSPECIFIED,),
    grpc.StatusCode.INVALID_ARGUMENT: (
        pb.ERROR_REASON_FIELD_INVALID,
        pb.ERROR_REASON_FIELD_REQUIRED,
        pb.ERROR_REASON_PAGE_TOKEN_INVALID,
        pb.ERROR_REASON_FILTER_INVALID,
        pb.ERROR_REASON_REQUEST_ID_REUSED,
        pb.ERROR_REASON_DIGEST_MISMATCH,
        pb.ERROR_REASON_ARTIFACT_TOO_LARGE,
        pb.ERROR_REASON_GRAPH_NOT_ONNX,
        pb.ERROR_REASON_GRAPH_INVALID,
        pb.ERROR_REASON_GRAPH_TOO_LARGE,
        pb.ERROR_REASON_GRAPH_OPSET_UNSUPPORTED,
        pb.ERROR_REASON_GRAPH_OPERATOR_UNSUPPORTED,
        pb.ERROR_REASON_GRAPH_EXTERNAL_DATA,
        pb.ERROR_REASON_GRAPH_CYCLE,
        pb.ERROR_REASON_GRAPH_VALUE_MISSING,
        pb.ERROR_REASON_GRAPH_NOT_FINITE,
        pb.ERROR_REASON_GRAPH_BATCH_FIXED,
        pb.ERROR_REASON_GRAPH_SHAPE_DYNAMIC,
        pb.ERROR_REASON_GRAPH_TYPE_UNSUPPORTED,
        pb.ERROR_REASON_GRAPH_NO_LINEAR_CLASSIFIER,
        pb.ERROR_REASON_GRAPH_NO_SLICEABLE_UNIT,
        pb.ERROR_REASON_GRAPHS_INCOMPATIBLE,
        pb.ERROR_REASON_GRAPH_TRAINING_MODE,
        pb.ERROR_REASON_GRAPH_BATCH_MIXED,
        pb.ERROR_REASON_GRAPH_NOT_EXECUTABLE,
        pb.ERROR_REASON_LABELS_MISMATCH,
        pb.ERROR_REASON_LABELS_DUPLICATE,
        pb.ERROR_REASON_SAMPLES_UNREADABLE,
        pb.ERROR_REASON_SAMPLES_TOO_LARGE,
        pb.ERROR_REASON_SAMPLES_MISMATCH,
        pb.ERROR_REASON_SAMPLES_OUT_OF_RANGE,
        pb.ERROR_REASON_SAMPLES_CLASS_MISSING,
        pb.ERROR_REASON_MODEL_AT_CHANCE,
        pb.ERROR_REASON_INPUT_SEMANTICS_MISMATCH,
        pb.ERROR_REASON_CLASS_UNKNOWN,
        pb.ERROR_REASON_BUDGET_UNREACHABLE,
        pb.ERROR_REASON_FRAGMENTS_INCOMPATIBLE,
        pb.ERROR_REASON_FRAGMENTS_DUPLICATE,
        pb.ERROR_REASON_PRECISION_UNSUPPORTED,
        pb.ERROR_REASON_NONE_OF_THESE_UNSUPPORTED,
        pb.ERROR_REASON_SPECIFICATION_VERSION,
        pb.ERROR_REASON_SPECIFICATION_INVALID,
        pb.ERROR_REASON_SPECIFICATION_TOO_FEW_SAMPLES,
        pb.ERROR_REASON_SPECIFICATION_NOT_COMPARABLE,
        pb.ERROR_REASON_SPECIFICATION_TOO_NEAR,
        pb.ERROR_REASON_CLONE_CLASS_KNOWN,
        pb.ERROR_REASON_CLONE_SAME_MODEL,
        pb.ERROR_REASON_CLONE_POSITION_UNKNOWN,
        pb.ERROR_REASON_MODEL_UNCUTTABLE,
    ),
    grpc.StatusCode.NOT_FOUND: (
        pb.ERROR_REASON_RESOURCE_NOT_FOUND,
        pb.ERROR_REASON_NOTHING_FITS,
    ),
    grpc.StatusCode.ALREADY_EXISTS: (pb.ERROR_REASON_RESOURCE_EXISTS,),
    grpc.StatusCode.ABORTED: (
        pb.ERROR_REASON_ETAG_MISMATCH,
        pb.ERROR_REASON_UPLOAD_INCOMPLETE,
        pb.ERROR_REASON_SWITCH_IN_PROGRESS,
    ),
    grpc.StatusCode.FAILED_PRECONDITION: (
        pb.ERROR_REASON_MODEL_IN_USE,
        pb.ERROR_REASON_PACK_IN_USE,
        pb.ERROR_REASON_PACK_NOT_ACCEPTABLE,
        pb.ERROR_REASON_DEPLOYMENT_FAILED,
        pb.ERROR_REASON_SIGNATURE_CHANGED,
        pb.ERROR_REASON_SMOKE_TEST_FAILED,
        pb.ERROR_REASON_CANARY_IN_PROGRESS,
        pb.ERROR_REASON_CLONE_TARGET_FIXED,
        pb.ERROR_REASON_PACK_REASSEMBLED,
    ),
    grpc.StatusCode.OUT_OF_RANGE: (
        pb.ERROR_REASON_WRITE_OFFSET_INVALID,
        pb.ERROR_REASON_READ_OUT_OF_RANGE,
    ),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        pb.ERROR_REASON_QUEUE_FULL,
        pb.ERROR_REASON_WORKER_MEMORY,
        pb.ERROR_REASON_WORKER_CPU_TIME,
        pb.ERROR_REASON_WORKER_FILE_SIZE,
        pb.ERROR_REASON_ATTEMPTS_EXHAUSTED,
        pb.ERROR_REASON_STORAGE_FULL,
    ),
    grpc.StatusCode.UNAVAILABLE: (
        pb.ERROR_REASON_SHUTTING_DOWN,
        pb.ERROR_REASON_SERVICE_UNREACHABLE,
        pb.ERROR_REASON_WORKER_DIED,
        pb.ERROR_REASON_SLICER_UNAVAILABLE,
        pb.ERROR_REASON_TRITON_UNAVAILABLE,
    ),
    grpc.StatusCode.INTERNAL: (pb.ERROR_REASON_INTERNAL, pb.ERROR_REASON_PROOF_FAILED),
    grpc.StatusCode.DEADLINE_EXCEEDED: (pb.ERROR_REASON_DEADLINE_EXCEEDED,),
    grpc.StatusCode.CANCELLED: (pb.ERROR_REASON_CANCELLED,),
    grpc.StatusCode.UNIMPLEMENTED: (pb.ERROR_REASON_METHOD_NOT_FOUND,),
}

CODES: Mapping[pb.ErrorReason.ValueType, grpc.StatusCode] = MappingProxyType(
    {reason: code for code, reasons in _BY_CODE.items() for reason in reasons}
)
"""The canonical code of every reason."""

RETRY_SECONDS: Mapping[pb.ErrorReason.ValueType, float] = MappingProxyType(
    {
        pb.ERROR_REASON_SHUTTING_DOWN: 1.0,
        pb.ERROR_REASON_SERVICE_UNREACHABLE: 1.0,
        pb.ERROR_REASON_QUEUE_FULL: 5.0,
        pb.ERROR_REASON_WORKER_DIED: 1.0,
        pb.ERROR_REASON_SLICER_UNAVAILABLE: 2.0,
        pb.ERROR_REASON_TRITON_UNAVAILABLE: 2.0,
        pb.ERROR_REASON_SWITCH_IN_PROGRESS: 2.0,
    }
)
"""The reasons after which the same request can be sent again, and after how many seconds."""


def reason_name(reason: pb.ErrorReason.ValueType) -> str:
    """Returns a reason as ``ErrorInfo`` carries it, without the enum's prefix."""
    return pb.ErrorReason.Name(reason).removeprefix(PREFIX)


def reason_of(name: str) -> pb.ErrorReason.ValueType | None:
    """Returns the enum's value of a reason, or None for one that these contracts do not know.

    Args:
        name: The reason without the enum's prefix, such as ``QUEUE_FULL``.
    """
    full = PREFIX + name
    return pb.ErrorReason.Value(full) if full in pb.ErrorReason.keys() else None  # noqa: SIM118
