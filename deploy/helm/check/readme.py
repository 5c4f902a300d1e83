"""Makes the chart's README from the comments of its values.

A comment that begins with ``# --`` describes the key below it. Usage: ``readme.py`` writes the
file, ``readme.py --check`` exits with 1 if it would change.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parents[1] / "slice-and-pack"
README = CHART / "README.md"
_KEY = re.compile(r"( *)([A-Za-z]+):(.*)")
_INTRODUCTION = """\
# The chart `slice-and-pack`

<!-- Made by `make chart-docs` from the comments of values.yaml. -->

Slicer and packer, each one pod over a volume, and a StatefulSet of Tritons with a reconciler beside
each.
How to install, upgrade and roll back:
[docs/install.md](../../../docs/install.md).

```
helm install market deploy/helm/slice-and-pack --namespace market --create-namespace \\
    --values deploy/helm/slice-and-pack/values-gpu.yaml
helm test market --namespace market --logs
```

| profile | for |
| --- | --- |
| `values.yaml` | NVIDIA's Triton on processors, one replica |
| `values-gpu.yaml` | NVIDIA's Triton on GPUs, three replicas |
| `values-laptop.yaml` | the embedded Triton on processors, small |

Every value is checked against `values.schema.json`, which knows no others than these.

| value | default | meaning |
| --- | --- | --- |
"""


def described(text: str) -> Iterator[tuple[str, str]]:
    """Yields the path and the description of each value that has one.

    Args:
        text: The values file.

    Raises:
        SystemExit: A value without children has no description, or a description has no value.
    """
    parents: list[tuple[int, str]] = []
    words: list[str] = []
    hidden: int | None = None
    for line in text.splitlines():
        if not line.strip():
            words = []
            continue
        if line.strip().startswith("#"):
            words.append(line.strip().removeprefix("#").strip())
            continue
        match = _KEY.fullmatch(line)
        if match is None or (hidden is not None and len(match[1]) > hidden):
            continue
        indent, key, rest = len(match[1]), match[2], match[3].strip()
        parents = [*(each for each in parents if each[0] < indent), (indent, key)]
        path = ".".join(name for _, name in parents)
        hidden = None
        if words and words[0].startswith("-- "):
            yield path, " ".join(words).removeprefix("-- ")
            hidden = indent
        elif rest:
            raise SystemExit(f"values.yaml: {path} has no description")
        words = []


def rendered() -> str:
    """Returns the whole README."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    lines = []
    for path, meaning in described(text):
        value = values
        for name in path.split("."):
            value = value[name]
        lines.append(f"| `{path}` | `{json.dumps(value)}` | {meaning} |\n")
    return _INTRODUCTION + "".join(lines)


def main(arguments: list[str]) -> int:
    """Writes or checks the README.

    Args:
        arguments: None, or ``--check``.

    Returns:
        1 if it is to be checked and would change, else 0.
    """
    if arguments != ["--check"]:
        README.write_text(rendered())
        return 0
    if README.exists() and README.read_text() == rendered():
        return 0
    sys.stderr.write("The chart's README is not what its values say: run `make chart-docs`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
