"""Reads the typed errors that services send."""

from __future__ import annotations

import grpc
from google.api_core import exceptions
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from svckit.status import from_status


def error_info_of(error: grpc.RpcError) -> error_details_pb2.ErrorInfo:
    """Returns the ErrorInfo of a failed call; a failed call without one fails the test."""
    status = rpc_status.from_call(error)
    assert status is not None, f"no status in the trailers of {error!r}"
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details), f"no ErrorInfo in {status}"
    return info


def reason_of(error: grpc.RpcError) -> str:
    """Returns the reason of a failed call."""
    return str(error_info_of(error).reason)


def advice_of(error: grpc.RpcError) -> str:
    """Returns the message with its advice, as a person reads it."""
    status = rpc_status.from_call(error)
    assert status is not None
    text = error_details_pb2.LocalizedMessage()
    assert any(detail.Unpack(text) for detail in status.details), f"no advice in {status}"
    return str(text.message)


def failed_operation_reason(error: exceptions.GoogleAPICallError) -> str:
    """Returns the reason of an operation that failed, as Google's own client raises it."""
    (status,) = error.errors
    return from_status(status).reason_name
