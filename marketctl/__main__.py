"""``marketctl`` and ``python -m marketctl``."""

from marketctl.app import app


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    app(prog_name="marketctl")


if __name__ == "__main__":
    main()
