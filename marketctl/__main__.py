"""``marketctl`` and ``python -m marketctl``."""

import sys


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    try:
        # A second or more of a command goes into this import, and Ctrl-C may well come here.
        from marketctl.app import app
    except KeyboardInterrupt:
        # As `ExitCode.INTERRUPTED`, whose import may be what was interrupted.
        sys.exit(130)
    app(prog_name="marketctl")


if __name__ == "__main__":
    main()
