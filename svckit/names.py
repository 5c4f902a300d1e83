"""Resource names, read from the ``google.api.resource`` annotation of their messages."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from google.api import resource_pb2
from google.protobuf.message import Message
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import FieldViolation, InvalidArgument

WILDCARD: Final = "-"
"""Stands for every resource of a kind in the parent of a list (AIP-159)."""

_ID: Final = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_SEGMENT: Final = r"([A-Za-z0-9][A-Za-z0-9._:-]{0,127})"
_SEGMENT_OR_WILDCARD: Final = r"(-|[A-Za-z0-9][A-Za-z0-9._:-]{0,127})"
_VARIABLE: Final = re.compile(r"\{[a-z_]+\}")


_MOST_LISTED: Final = 10


def listed(names: Sequence[str]) -> str:
    """Returns names as a message has them: the first ten, and how many more there are."""
    shown = ", ".join(names[:_MOST_LISTED])
    more = len(names) - _MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown


@dataclass(frozen=True)
class ResourcePattern:
    """The names of one kind of resource.

    Attributes:
        pattern: Such as ``models/{model}/fragments/{fragment}``.
    """

    pattern: str

    @classmethod
    def of(cls, message: type[Message]) -> "ResourcePattern":
        """Returns the pattern of a message's names.

        Args:
            message: A message with a ``google.api.resource`` option.
        """
        resource = message.DESCRIPTOR.GetOptions().Extensions[resource_pb2.resource]
        return cls(resource.pattern[0])

    def parse(self, name: str, field: str = "name", *, wildcards: bool = False) -> tuple[str, ...]:
        """Returns the ids in a name, from left to right.

        Args:
            name: The name.
            field: The field of the request that it came in.
            wildcards: Whether ``-`` may stand for any id.

        Raises:
            InvalidArgument: FIELD_INVALID, if it is no such name.
        """
        segment = _SEGMENT_OR_WILDCARD if wildcards else _SEGMENT
        match = re.fullmatch(_VARIABLE.sub(lambda _: segment, self.pattern), name)
        if match is None:
            raise InvalidArgument(
                pb.ERROR_REASON_FIELD_INVALID,
                f"{field} is {name[:200]!r}, which is no {self.pattern}.",
                advice=f"Give a name of the form {self.pattern}.",
                metadata={"field": field},
                violations=[FieldViolation(field, f"Must have the form {self.pattern}.")],
            )
        return match.groups()

    def matches(self, name: str) -> bool:
        """Tells whether a text is such a name."""
        return re.fullmatch(_VARIABLE.sub(lambda _: _SEGMENT, self.pattern), name) is not None

    def format(self, *ids: str) -> str:
        """Returns the name of the resource with these ids, from left to right."""
        values = iter(ids)
        return _VARIABLE.sub(lambda _: next(values), self.pattern)


def id_violations(resource_id: str, field: str) -> tuple[FieldViolation, ...]:
    """Returns what is wrong with an id that a client chose, for all violations at once (AIP-122).

    Args:
        resource_id: The id.
        field: The field of the request that it came in.
    """
    if _ID.fullmatch(resource_id):
        return ()
    return (FieldViolation(field, f"Must match ^{_ID.pattern}$."),)


def new_id(prefix: str) -> str:
    """Returns an id for a resource whose client chose none, such as ``model-3f9a0c5be2d1``.

    Args:
        prefix: What it begins with, a word in lower-case letters.
    """
    return f"{prefix}-{secrets.token_hex(6)}"
