import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import (
    Aborted,
    FieldViolation,
    Internal,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    ServiceError,
    from_domain,
    from_exception,
)
from svckit.reasons import CODES, RETRY_SECONDS, reason_name, reason_of
from svckit.status import from_rpc_error, from_status, to_status, to_trailers


class PureError(Exception):
    """As the pure libraries raise it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = "Node add1 feeds itself."
        self.advice = "Export the model again."
        self.metadata = {"node": "add1"}


def detail(status: status_pb2.Status, kind: type) -> object:
    found = kind()
    assert [any_.Unpack(found) for any_ in status.details if any_.Is(kind.DESCRIPTOR)] == [True]  # type: ignore[attr-defined]
    return found


def test_every_reason_of_the_contract_has_a_canonical_code() -> None:
    assert set(CODES) == set(pb.ErrorReason.values())


def test_reasons_and_their_names_are_one_to_one() -> None:
    assert all(reason_of(reason_name(reason)) == reason for reason in CODES)
    assert reason_of("NO_SUCH_REASON") is None


def test_a_reason_that_can_be_retried_never_blames_the_request() -> None:
    assert not {CODES[reason] for reason in RETRY_SECONDS} & {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INTERNAL,
    }


def test_a_status_carries_reason_advice_violations_and_the_time_to_wait() -> None:
    error = ResourceExhausted(
        pb.ERROR_REASON_QUEUE_FULL,
        "64 operations wait already.",
        advice="Try again later.",
        metadata={"limit": "64"},
        violations=[FieldViolation("model.labels", "Too many.")],
    )
    status = to_status(error)
    assert status.code == 8
    assert status.message == "64 operations wait already."
    info = detail(status, error_details_pb2.ErrorInfo)
    assert info == error_details_pb2.ErrorInfo(
        reason="QUEUE_FULL", domain="sliceandpack", metadata={"limit": "64"}
    )
    assert detail(status, error_details_pb2.LocalizedMessage) == error_details_pb2.LocalizedMessage(
        locale="en-US", message="64 operations wait already. Try again later."
    )
    violation = error_details_pb2.BadRequest.FieldViolation(
        field="model.labels", description="Too many."
    )
    assert detail(status, error_details_pb2.BadRequest) == error_details_pb2.BadRequest(
        field_violations=[violation]
    )
    retry = detail(status, error_details_pb2.RetryInfo)
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToSeconds() == RETRY_SECONDS[pb.ERROR_REASON_QUEUE_FULL]


def test_an_error_that_is_final_says_nothing_of_a_retry() -> None:
    status = to_status(NotFound(pb.ERROR_REASON_RESOURCE_NOT_FOUND, "No.", advice="List them."))
    assert not any(any_.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for any_ in status.details)


def test_an_error_survives_the_way_through_a_status() -> None:
    error = InvalidArgument(
        pb.ERROR_REASON_FIELD_INVALID,
        "page_size is negative.",
        advice="Leave it out.",
        metadata={"field": "page_size"},
        violations=[FieldViolation("page_size", "Must not be negative.")],
    )
    returned = from_status(to_status(error))
    assert type(returned) is InvalidArgument
    assert returned.__dict__ == error.__dict__


def test_a_status_of_another_domain_keeps_its_code_but_not_its_reason() -> None:
    status = status_pb2.Status(code=10, message="Conflict.")
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason="QUEUE_FULL", domain="elsewhere.example")
    )
    returned = from_status(status)
    assert isinstance(returned, Aborted)
    assert returned.reason == pb.ERROR_REASON_UNSPECIFIED


def test_a_status_fits_into_a_trailer_however_much_is_wrong() -> None:
    error = InvalidArgument(
        pb.ERROR_REASON_FIELD_INVALID,
        "m" * 100_000,
        advice="a" * 100_000,
        metadata={f"key{index}": "v" * 10_000 for index in range(100)},
        violations=[FieldViolation(f"inputs[{index}]", "d" * 5_000) for index in range(1_000)],
    )
    ((_, trailer),) = to_trailers(error)
    assert len(trailer) * 4 / 3 + 1_000 < 16_384
    returned = from_status(status_pb2.Status.FromString(trailer))
    assert returned.violations[0].field == "inputs[0]"
    assert returned.violations[-1].description.endswith("more fields break rules.")


def test_a_domain_error_becomes_the_service_error_of_its_reason() -> None:
    error = from_exception(PureError("GRAPH_CYCLE"), "c1")
    assert isinstance(error, InvalidArgument)
    assert error.reason == pb.ERROR_REASON_GRAPH_CYCLE
    assert (error.message, error.advice) == ("Node add1 feeds itself.", "Export the model again.")
    assert error.metadata == {"node": "add1"}


def test_a_reason_that_the_contract_lacks_is_a_fault_of_the_service() -> None:
    with pytest.raises(ValueError, match="ERROR_REASON_NO_SUCH_REASON"):
        from_domain("NO_SUCH_REASON", "m", "a")
    assert isinstance(from_exception(PureError("NO_SUCH_REASON"), "c1"), Internal)


def test_an_unforeseen_exception_shows_a_fixed_text_and_the_call_id_alone() -> None:
    error = from_exception(RuntimeError("password=hunter2"), "c1")
    assert isinstance(error, Internal)
    assert error.metadata == {"call_id": "c1"}
    assert "hunter2" not in to_status(error).SerializeToString().decode(errors="replace")


def test_a_service_error_is_not_wrapped_again() -> None:
    error = NotFound(pb.ERROR_REASON_RESOURCE_NOT_FOUND, "No.", advice="List them.")
    assert from_exception(error, "c1") is error


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, pb.ERROR_REASON_UNSPECIFIED),
        (grpc.StatusCode.DEADLINE_EXCEEDED, pb.ERROR_REASON_DEADLINE_EXCEEDED),
        (grpc.StatusCode.CANCELLED, pb.ERROR_REASON_CANCELLED),
        (grpc.StatusCode.UNIMPLEMENTED, pb.ERROR_REASON_METHOD_NOT_FOUND),
        (grpc.StatusCode.PERMISSION_DENIED, pb.ERROR_REASON_UNSPECIFIED),
    ],
)
def test_a_failure_without_a_status_gets_the_reason_and_advice_of_its_code(
    code: grpc.StatusCode, reason: int
) -> None:
    bare = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "lost")
    error = from_rpc_error(bare)
    assert isinstance(error, ServiceError)
    assert (error.code, error.reason, error.message) == (code, reason, "lost")
    assert error.advice


def test_a_server_that_does_not_answer_is_told_in_words() -> None:
    code = grpc.StatusCode.DEADLINE_EXCEEDED
    bare = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "Deadline Exceeded")
    assert from_rpc_error(bare).message == "The server did not answer in time."
