"""What the disk says, in words of serving."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from serving.errors import RepositoryError, StorageFullError


@contextmanager
def said_of_the_disk() -> Iterator[None]:
    """Names what goes wrong with the model repository's disk, as long as the block lasts.

    Raises:
        StorageFullError: The disk is full.
        RepositoryError: The files cannot be written.
    """
    try:
        yield
    except OSError as error:
        kind = StorageFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else RepositoryError
        raise kind(
            f"the pack cannot be written to the model repository: {error.strerror}",
            advice="Free some space on its disk, or look at its permissions.",
        ) from error
