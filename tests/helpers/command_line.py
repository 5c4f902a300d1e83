"""The command line as a test gives it: in this process, with what it printed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from marketctl.app import app


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed, read as JSON."""
        return json.loads(self.out)


def marketctl(*arguments: object, **variables: str) -> Ended:
    """Runs a command with these arguments and environment variables."""
    result = CliRunner(env=variables).invoke(
        app, [str(argument) for argument in arguments], prog_name="marketctl"
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)
