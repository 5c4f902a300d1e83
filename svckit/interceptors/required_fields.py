"""Refuses requests that lack a REQUIRED field, before a service sees them."""

import contextlib
from collections.abc import AsyncIterator

from google.protobuf.message import Message
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import InvalidArgument
from svckit.interceptors.call import Call, CallInterceptor
from svckit.required import missing_fields


class RequiredFieldsInterceptor(CallInterceptor):
    """Checks ``google.api.field_behavior`` REQUIRED on every message from a client."""

    @contextlib.asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:  # noqa: ARG002
        """Does nothing: the rule is about messages."""
        yield

    def receive(self, message: Message) -> None:
        """Refuses a message that lacks required fields, naming all of them.

        Raises:
            InvalidArgument: FIELD_REQUIRED.
        """
        violations = missing_fields(message)
        if violations:
            names = ", ".join(violation.field for violation in violations)
            raise InvalidArgument(
                pb.ERROR_REASON_FIELD_REQUIRED,
                f"The request lacks {names}.",
                advice="Set every field that is listed.",
                metadata={"field": violations[0].field},
                violations=violations,
            )
