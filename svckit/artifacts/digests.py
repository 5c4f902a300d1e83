"""The names of artifacts: ``sha256:<hex>`` inside, ``artifacts/sha256:<hex>`` on the wire."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.errors import FieldViolation, InvalidArgument

DIGEST_LENGTH: Final = 71
"""The length of ``sha256:`` and 64 hexadecimal digits."""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_COLLECTION: Final = "artifacts/"
_ADVICE: Final = "Name the artifact artifacts/sha256: and 64 lower-case hexadecimal digits."


@dataclass(frozen=True)
class Artifact:
    """Stored bytes.

    Attributes:
        digest: ``sha256:`` and 64 lower-case hexadecimal digits.
        size_bytes: How many bytes.
    """

    digest: str
    size_bytes: int

    @property
    def name(self) -> str:
        """The resource name, ``artifacts/{digest}``."""
        return artifact_name(self.digest)


def digest_of(data: bytes) -> str:
    """Returns the digest of bytes in memory."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def artifact_name(digest: str) -> str:
    """Returns the resource name of a digest."""
    return _COLLECTION + digest


def parse_digest(text: str, *, field: str = "digest") -> str:
    """Returns the digest unchanged once it is known to be one; it is then safe as a file name.

    Args:
        text: What a client or a table gave.
        field: The field that an error names.

    Raises:
        InvalidArgument: FIELD_INVALID, `text` is no lower-case SHA-256 digest.
    """
    if not is_digest(text):
        raise _invalid(field)
    return text


def is_digest(text: str) -> bool:
    """Tells whether a text is a lower-case SHA-256 digest with its prefix."""
    return _DIGEST.fullmatch(text) is not None


def digest_from_name(name: str, *, field: str = "name") -> str:
    """Returns the digest in a resource name.

    Args:
        name: ``artifacts/sha256:<hex>``.
        field: The field that an error names.

    Raises:
        InvalidArgument: FIELD_INVALID, `name` is no artifact's name.
    """
    if not name.startswith(_COLLECTION):
        raise _invalid(field)
    return parse_digest(name.removeprefix(_COLLECTION), field=field)


def _invalid(field: str) -> InvalidArgument:
    return InvalidArgument(
        pb.ERROR_REASON_FIELD_INVALID,
        "The name of an artifact is malformed.",
        advice=_ADVICE,
        metadata={"field": field},
        violations=[FieldViolation(field, "is not an artifact's name")],
    )
