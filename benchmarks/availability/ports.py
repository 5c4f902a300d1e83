"""A free port on this machine."""

from __future__ import annotations

import random
import socket

# Below the ports that the kernel gives to outgoing connections, which could take one in between.
FIRST, LAST = 20_000, 32_000


def free_port() -> int:
    """Returns a port that nobody listens on now."""
    while True:
        port = random.randint(FIRST, LAST)  # noqa: S311
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
