"""Page sizes, and page tokens that only this service can have made, for this very list."""

import base64
import binascii
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import FieldViolation, InvalidArgument

DEFAULT_PAGE_SIZE: Final = 50
"""How many a page holds when the client does not say."""

MAX_PAGE_SIZE: Final = 1_000
"""How many a page holds at most; larger wishes are cut to it (AIP-158)."""

CursorValue = str | int | float | datetime
"""One value of the row after which the next page begins."""

_TAG_BYTES: Final = 16


def page_size(requested: int) -> int:
    """Returns the size of a page: 0 gives the default, more than the maximum the maximum.

    Args:
        requested: What the client asked for.

    Raises:
        InvalidArgument: FIELD_INVALID, if it is negative.
    """
    if requested < 0:
        raise InvalidArgument(
            pb.ERROR_REASON_FIELD_INVALID,
            f"page_size is {requested}.",
            advice=f"Leave it out for {DEFAULT_PAGE_SIZE}, or ask for up to {MAX_PAGE_SIZE}.",
            metadata={"field": "page_size"},
            violations=[FieldViolation("page_size", "Must not be negative.")],
        )
    return min(requested or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


class PageTokens:
    """Makes and opens page tokens.

    A token holds the last row's values, readable but signed (HMAC-SHA256) together with the list
    that it belongs to.

    Args:
        key: The secret of the service; replicas of one service share it.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> "PageTokens":
        """Reads the key from a file that only the service can read; makes it where it is missing.

        Args:
            path: The file, in the state folder, so that tokens outlive a restart.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            scratch = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
            scratch.touch(mode=0o600)
            scratch.write_bytes(secrets.token_bytes(32))
            try:
                # Unlike a rename, a link never takes the place of another process's key.
                os.link(scratch, path)
            except FileExistsError:
                pass
            finally:
                scratch.unlink()
        return cls(path.read_bytes())

    def seal(self, binding: str, cursor: Sequence[CursorValue]) -> str:
        """Returns the token of the page after a row.

        Args:
            binding: All that makes the list: parent, filter and order.
            cursor: The row's values of the columns that the list is ordered by.
        """
        values = [
            {"time": value.isoformat()} if isinstance(value, datetime) else value
            for value in cursor
        ]
        payload = json.dumps(values, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._tag(binding, payload) + payload).decode()

    def open(self, binding: str, token: str) -> tuple[CursorValue, ...]:
        """Returns the cursor that a token holds.

        Args:
            binding: All that makes the list, as it was when the token was made.
            token: The token.

        Raises:
            InvalidArgument: PAGE_TOKEN_INVALID.
        """
        try:
            content = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise _invalid_token() from error
        tag, payload = content[:_TAG_BYTES], content[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(binding, payload)):
            raise _invalid_token()
        return tuple(
            datetime.fromisoformat(value["time"]) if isinstance(value, dict) else value
            for value in json.loads(payload)
        )

    def _tag(self, binding: str, payload: bytes) -> bytes:
        # The length keeps a binding from running over into the payload.
        message = f"{len(binding)}:{binding}".encode() + payload
        return hmac.digest(self._key, message, "sha256")[:_TAG_BYTES]


def _invalid_token() -> InvalidArgument:
    return InvalidArgument(
        pb.ERROR_REASON_PAGE_TOKEN_INVALID,
        "The page token does not belong to this list.",
        advice="Send next_page_token as it came, with the same parent, filter and order_by, or "
        "start again without it.",
    )
