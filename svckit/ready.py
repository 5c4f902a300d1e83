"""Tells whether a server on this machine is SERVING: ``python -m svckit.ready READY_FILE``.

For health checks of containers, which run it every few seconds: it imports no gRPC.
"""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from typing import Final

from svckit.addresses import Address

_SECONDS: Final = 3.0
_OK: Final = 200
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  Looked up, not bound.


def main(arguments: list[str]) -> int:
    """Asks the server, and says on standard error what is wrong.

    Args:
        arguments: The server's ready file.

    Returns:
        0 if it is SERVING, 1 if not.
    """
    problem = _problem(Path(arguments[0])) if len(arguments) == 1 else "name the ready file"
    if problem:
        sys.stderr.write(f"{problem}\n")
    return 1 if problem else 0


def _problem(ready_file: Path) -> str:
    """Returns why the server is not ready, nothing if it is."""
    try:
        address = Address.parse(json.loads(ready_file.read_text())["metrics_address"])
        host = _LOOPBACK.get(address.host, address.host)
        server = http.client.HTTPConnection(host, address.port, timeout=_SECONDS)
        server.request("GET", "/ready")
        status = server.getresponse().status
    except FileNotFoundError:
        return "it has not started"
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        return f"no answer: {error}"
    return "" if status == _OK else "it is NOT_SERVING"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
