"""Lists of operations: what they can be filtered and ordered by."""

from typing import Final

from google.longrunning import operations_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sqlalchemy import ColumnElement, select

from svckit.database import Database
from svckit.errors import FieldViolation, InvalidArgument, Unimplemented
from svckit.filters import equals, invalid_filter
from svckit.listing import Listing, ListQuery, fetch_page
from svckit.operations.messages import COLLECTION, to_operation
from svckit.operations.tables import OperationRow, OperationState
from svckit.paging import PageTokens

_PREFIX = "STATE_"


def _in_state(value: str) -> ColumnElement[bool]:
    name = value.removeprefix(_PREFIX)
    if name not in OperationState.__members__:
        raise invalid_filter(
            f"state = {value}", f"{value!r} is no state.", f"Use {', '.join(OperationState)}."
        )
    return OperationRow.state == name


def _is_done(value: str) -> ColumnElement[bool]:
    if value not in ("true", "false"):
        raise invalid_filter(f"done = {value}", f"{value!r} is no truth.", "Use true or false.")
    return (
        OperationRow.end_time.is_not(None) if value == "true" else OperationRow.end_time.is_(None)
    )


_LISTING: Final = Listing(
    filters={
        "kind": equals(OperationRow.__table__.c.kind),
        "target": equals(OperationRow.__table__.c.target),
        "state": _in_state,
        "done": _is_done,
    },
    orders={
        "create_time": OperationRow.__table__.c.create_time,
        "id": OperationRow.__table__.c.id,
    },
    default_order="create_time desc",
    key="id",
)


async def list_operations(
    database: Database, tokens: PageTokens, request: operations_pb2.ListOperationsRequest
) -> operations_pb2.ListOperationsResponse:
    """Returns a page of operations, newest first.

    Args:
        database: Has them.
        tokens: Makes and opens the page tokens.
        request: The parent is "operations" or empty; the filter may name kind, target, state
            (such as RUNNING) and done (true or false).

    Raises:
        InvalidArgument: FIELD_INVALID, FILTER_INVALID or PAGE_TOKEN_INVALID.
        Unimplemented: If partial success is asked for, which only lists over locations know.
    """
    if request.name not in ("", COLLECTION):
        raise InvalidArgument(
            reasons.ERROR_REASON_FIELD_INVALID,
            f"{request.name!r} has no operations.",
            advice=f'List the operations of "{COLLECTION}".',
            metadata={"field": "name"},
            violations=[FieldViolation("name", f'must be "{COLLECTION}" or empty')],
        )
    if request.return_partial_success:
        raise Unimplemented(
            reasons.ERROR_REASON_METHOD_NOT_FOUND,
            "There is no partial success of this list.",
            advice="Leave return_partial_success out.",
        )
    statement = select(OperationRow).where(OperationRow.abandoned.is_(False))
    query = ListQuery(request.page_size, request.page_token, request.filter)
    async with database.reading() as session:
        page = await fetch_page(session, statement, _LISTING, query, tokens, to_operation)
    return operations_pb2.ListOperationsResponse(
        operations=page.items,
        next_page_token=page.next_page_token,
    )
