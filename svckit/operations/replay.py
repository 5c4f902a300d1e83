"""Answers a request that came before with the answer that it got then (AIP-155)."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from google.protobuf.message import Message
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from svckit.clock import Clock
from svckit.database import Database
from svckit.errors import FieldViolation, InvalidArgument
from svckit.operations.tables import RequestIdRow

_LONGEST_ID = 128

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Call:
    """A mutation that a client may send again.

    Attributes:
        method: The method or kind of work, such as "DeleteModel".
        request: The whole request.
        request_id: What the client calls it; empty if it will not ask again.
        principal: Who asks.
    """

    method: str
    request: Message
    request_id: str
    principal: str = ""


class _TakenError(Exception):
    """Another transaction answers the same request id at this moment."""


class Replay:
    """Runs each mutation once per request id.

    Args:
        database: Where the answers are kept, together with what the mutations change.
        clock: Tells how old an answer is.
        keep_seconds: For how long an answer is given again.
    """

    def __init__(self, database: Database, clock: Clock, keep_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._keep = timedelta(seconds=keep_seconds)

    async def once(
        self,
        call: Call,
        mutate: Callable[[AsyncSession], Awaitable[M]],
        response_type: type[M],
    ) -> M:
        """Returns the first answer to this request id, running `mutate` only if there is none.

        The mutation and its answer are committed together: there is an answer if and only if the
        mutation took place. One that raises leaves neither, so that it can be tried again. Of
        equal requests at the same time exactly one runs; the others wait for its answer.

        Args:
            call: What was asked for.
            mutate: Makes the change in the given session, and nowhere else.
            response_type: The class of the answer.

        Raises:
            InvalidArgument: REQUEST_ID_REUSED if the id came with another request before.
        """
        if not call.request_id:
            async with self._database.writing() as session:
                return await mutate(session)
        _check(call.request_id)
        try:
            return await self._answer(call, mutate, response_type)
        except _TakenError:
            # The other transaction has committed, or this one would still wait for it.
            return await self._answer(call, mutate, response_type)

    async def _answer(
        self,
        call: Call,
        mutate: Callable[[AsyncSession], Awaitable[M]],
        response_type: type[M],
    ) -> M:
        key = (call.method, call.principal, call.request_id)
        digest = _digest(call.request)
        now = self._clock.now()
        async with self._database.writing() as session:
            row = await session.get(RequestIdRow, key, with_for_update=True)
            if row is not None and row.create_time + self._keep > now:
                if row.digest != digest:
                    raise _reused(call.request_id)
                return response_type.FromString(row.response)
            if row is not None:
                await session.delete(row)
                await session.flush()
            row = RequestIdRow(
                method=call.method,
                principal=call.principal,
                request_id=call.request_id,
                digest=digest,
                response=b"",
                create_time=now,
            )
            session.add(row)
            try:
                await session.flush()
            except IntegrityError as error:
                raise _TakenError from error
            response = await mutate(session)
            row.response = response.SerializeToString(deterministic=True)
            return response


def _digest(request: Message) -> str:
    body = request.SerializeToString(deterministic=True)
    return hashlib.sha256(request.DESCRIPTOR.full_name.encode() + b"\0" + body).hexdigest()


def _check(request_id: str) -> None:
    if len(request_id) > _LONGEST_ID or not request_id.isprintable():
        raise InvalidArgument(
            reasons.ERROR_REASON_FIELD_INVALID,
            "The request id cannot be used.",
            advice="Send a fresh UUID with every new request.",
            metadata={"field": "request_id"},
            violations=[
                FieldViolation("request_id", f"must be at most {_LONGEST_ID} printable characters")
            ],
        )


def _reused(request_id: str) -> InvalidArgument:
    return InvalidArgument(
        reasons.ERROR_REASON_REQUEST_ID_REUSED,
        f"The request id {request_id!r} came before with another request.",
        advice="Send the request as it was first sent, or give a new one an id of its own.",
        metadata={"request_id": request_id},
        violations=[FieldViolation("request_id", "belongs to another request")],
    )
