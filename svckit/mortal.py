"""Imported before all else by a server's ``__main__``: SIGTERM ends it while it still imports.

As the first process of a container it would ignore the signal until it asked for it, which a server
does once it serves, a second or more later.
"""

import os
import signal


def _end(_signal: int, _frame: object) -> None:
    # Nothing is open yet that is worth closing.
    os._exit(0)


signal.signal(signal.SIGTERM, _end)
