"""Drives the command line as a person would, and reads what it prints as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.demo.services import Addresses


class Market:
    """``marketctl`` against running services.

    Args:
        addresses: Where the services listen.
    """

    def __init__(self, addresses: Addresses) -> None:
        self._options = ["--slicer", addresses.slicer, "--packer", addresses.packer]
        self._options += ["--triton", addresses.triton, "--output", "json"]

    def run(self, *arguments: str) -> Any:  # noqa: ANN401
        """Runs one command.

        Args:
            arguments: The command and its arguments.

        Returns:
            What it printed, read as JSON.

        Raises:
            RuntimeError: The command failed; the message holds what it said.
        """
        sys.stdout.write(f"$ marketctl {' '.join(arguments)}\n")
        sys.stdout.flush()
        result = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "marketctl", *self._options, *arguments],
            check=False,
            capture_output=True,
            text=True,
        )
        if result.returncode:
            raise RuntimeError(f"exit code {result.returncode}: {result.stderr.strip()[-4000:]}")
        return json.loads(result.stdout)

    def submit(self, name: str, graph: Path, samples: Path, labels: Sequence[str]) -> Any:  # noqa: ANN401
        """Submits a model of (1, 8, 8) images in [0, 1]; returns the Model."""
        arguments = ["--labels", ",".join(labels), "--samples", str(samples), "--id", name]
        image = ["--image", "image", "--range", "0,1", "--licence", "BSD-3-Clause"]
        return self.run("models", "submit", str(graph), *arguments, *image)

    def slice(self, model: str, label: str, *size: str) -> str:
        """Slices one class out of a model; returns the fragment's name."""
        fragments = self.run("models", "slice", model, "--class", label, *size)
        return str(fragments[0]["name"])

    def pack(self, name: str, fragments: Sequence[str]) -> Any:  # noqa: ANN401
        """Joins fragments; returns the Pack."""
        return self.run("packs", "create", *fragments, "--id", name)

    def deploy(self, name: str, pack: str) -> None:
        """Serves a pack under a name."""
        self.run("deployments", "create", name, "--pack", pack)

    def predict(self, name: str, images: Path) -> list[list[dict[str, Any]]]:
        """Returns, for every image of an npz, its classes with their probabilities, best first."""
        answers = self.run("predict", name, str(images))
        return [answer["predictions"] for answer in answers]
