"""Holds the sizes of Python files and functions to their limits.

A file has at most 400 lines, a function at most 60 lines without its docstring and at most 6
parameters (``self`` and ``cls`` not counted). An exception is a line of ``sizes-allowed.txt``:
``path[:function]  reason``.

Usage: ``python .ci/sizes.py`` exits with 1 and names what is over.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 6
ROOT = Path(__file__).resolve().parent.parent
ALLOWED = Path(__file__).with_name("sizes-allowed.txt")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    """Checks every Python file that git knows or would add.

    Returns:
        1 if anything is over its limit or an exception is no longer needed, else 0.
    """
    allowed = read_allowed()
    over: dict[str, str] = {}
    for path in sources():
        over.update(oversized(path))
    for place, finding in sorted(over.items()):
        if place not in allowed:
            sys.stderr.write(f"{place}: {finding}\n")
    idle = allowed - set(over)
    for place in sorted(idle):
        sys.stderr.write(f"{ALLOWED.name}: {place} is within the limits, remove its line\n")
    return 1 if idle or set(over) - allowed else 0


def read_allowed() -> set[str]:
    """Returns the places that may be over; every one must give its reason."""
    places = set()
    for line in ALLOWED.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        place, _, reason = line.partition("  ")
        if not reason.strip():
            raise SystemExit(f"{ALLOWED.name}: {place} gives no reason")
        places.add(place)
    return places


def sources() -> list[Path]:
    """Returns the hand-written Python files of the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    names = subprocess.run(  # noqa: S603
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    kept = [ROOT / name for name in names if not name.startswith("protos/gen/")]
    return sorted(path for path in kept if path.exists())


def oversized(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the place and the finding of everything in one file that is over its limit."""
    name = str(path.relative_to(ROOT))
    text = path.read_text()
    lines = len(text.splitlines())
    if lines > FILE_LINES:
        yield name, f"{lines} lines, at most {FILE_LINES}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Function):
            length, parameters = body_lines(node), parameter_count(node)
            if length > FUNCTION_LINES:
                yield f"{name}:{node.name}", f"{length} lines, at most {FUNCTION_LINES}"
            if parameters > PARAMETERS:
                yield f"{name}:{node.name}", f"{parameters} parameters, at most {PARAMETERS}"


def body_lines(node: Function) -> int:
    """Returns the lines of a function's body, its docstring left out."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if not body:
        return 0
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1


def parameter_count(node: Function) -> int:
    """Returns the number of a function's parameters without ``self`` and ``cls``."""
    arguments = node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in {"self", "cls"}])


if __name__ == "__main__":
    sys.exit(main())
