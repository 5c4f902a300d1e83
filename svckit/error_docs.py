"""Makes `docs/errors.md` from the comments of the contract's enum and the table of codes.

Usage: ``python -m svckit.error_docs`` writes the page; ``--check`` compares instead and exits with
1 where the committed page differs. It works in a checkout of the project, where the contracts are.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Final

from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.reasons import CODES, RETRY_SECONDS, reason_name

_ROOT: Final = Path(__file__).resolve().parents[1]
CONTRACT: Final = _ROOT / "protos" / "sliceandpack" / "error" / "v1" / "error_reason.proto"
"""The enum's file."""

PAGE: Final = _ROOT / "docs" / "errors.md"
"""The page that is made."""

_VALUE: Final = re.compile(r"((?:^ *//[^\n]*\n)+)^ *(ERROR_REASON_\w+) = \d+;", re.MULTILINE)
_EXAMPLE: Final = "Example: "

_HEAD: Final = """# Errors

<!-- Made by `make proto` from protos/sliceandpack/error/v1/error_reason.proto: do not edit. -->

Every failed call and operation carries a `google.rpc.Status` with

- a canonical gRPC code,
- `google.rpc.ErrorInfo`: one of the reasons below, the domain `sliceandpack`, and metadata,
- `google.rpc.LocalizedMessage` (en-US): the message and one sentence of advice,
- `google.rpc.BadRequest` where fields of the request broke rules: all of them at once,
- `google.rpc.RetryInfo` where the same request can be sent again, and after how long.

Branch on the reason, never on the message. Reasons are only ever added.

| reason | code | again after | meaning | example of metadata |
| --- | --- | --- | --- | --- |
"""


def render(contract: str) -> str:
    """Returns the page.

    Args:
        contract: The text of the enum's file.

    Raises:
        ValueError: A value of the enum has no comment or no example.
    """
    comments = {name: text for text, name in _VALUE.findall(contract)}
    rows = []
    for name, value in pb.ErrorReason.items():
        lines = [line.strip(" /") for line in comments.get(name, "").splitlines()]
        meaning = " ".join(line for line in lines if not line.startswith(_EXAMPLE))
        examples = [line.removeprefix(_EXAMPLE) for line in lines if line.startswith(_EXAMPLE)]
        if value != pb.ERROR_REASON_UNSPECIFIED and (not meaning or len(examples) != 1):
            raise ValueError(f"{name} needs a comment with one line that begins with {_EXAMPLE!r}")
        metadata = examples[0].partition('"metadata": ')[2].removesuffix("}") if examples else ""
        wait = RETRY_SECONDS.get(value)
        cells = (
            f"`{reason_name(value)}`",
            f"`{CODES[value].name}`",
            "" if wait is None else f"{wait:g} s",
            meaning,
            f"`{metadata}`" if metadata not in ("", "{}") else "",
        )
        rows.append("| " + " | ".join(cells) + " |\n")
    return _HEAD + "".join(rows)


def main() -> int:
    """Runs the command line.

    Returns:
        The exit code: 1 where ``--check`` found a difference.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare with the committed page")
    arguments = parser.parse_args()
    page = render(CONTRACT.read_text())
    if not arguments.check:
        PAGE.write_text(page)
        return 0
    if PAGE.exists() and PAGE.read_text() == page:
        return 0
    sys.stderr.write("docs/errors.md is not what the contract gives: run `make proto`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
