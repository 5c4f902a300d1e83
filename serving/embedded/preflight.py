"""A check of what would otherwise hang: Triton waits for ever for a stub that cannot start."""

from __future__ import annotations

import asyncio
import re

from serving.embedded.environment import TritonEnvironment
from serving.errors import TritonSetupError

_DEADLINE_SECONDS = 20.0
_GREETING = b"Expected 9 arguments"


async def preflight(environment: TritonEnvironment) -> None:
    """Runs the stub bare: it must come as far as counting its arguments.

    Args:
        environment: Where the stub lies.

    Raises:
        TritonSetupError: The stub does not start; the advice names the missing package.
    """
    process = await asyncio.create_subprocess_exec(
        environment.stub,
        env=environment.variables(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise TritonSetupError(
            f"Triton's Python stub did not answer within {_DEADLINE_SECONDS:.0f} s",
            advice="Look at the machine's load, then try again.",
        ) from None
    if process.returncode == 1 and _GREETING in output:
        return
    text = output.decode(errors="replace").strip()
    raise TritonSetupError(
        f"Triton's Python stub does not start (exit {process.returncode}): {text[-300:]}",
        advice=_advice(text, environment),
    )


def _advice(text: str, environment: TritonEnvironment) -> str:
    found = re.search(r"([\w.+-]+\.so[\w.]*): cannot open shared object file", text)
    library = found[1] if found else ""
    if library.startswith("libpython"):
        package = f"libpython{environment.python_version}"
        return f"Install the library of that Python: `apt-get install {package}`."
    if library:
        return f"Install the Debian package that has {library} (`apt-file search {library}`)."
    return "Remove the Triton environment and run `make setup` again."
