"""Checks a Triton environment: `python -m serving.embedded .triton`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from serving.embedded.environment import locate
from serving.embedded.preflight import preflight
from serving.errors import TritonSetupError


def main(arguments: list[str]) -> int:
    """Says on standard error what is missing, and how to get it.

    Args:
        arguments: The environment's folder.

    Returns:
        0 if Triton can be started, 1 if not.
    """
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m serving.embedded FOLDER\n")
        return 1
    try:
        asyncio.run(preflight(locate(Path(arguments[0]))))
    except TritonSetupError as error:
        sys.stderr.write(f"{error.message}\n{error.advice}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
