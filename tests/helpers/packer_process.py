"""Packers in processes of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.helpers.packer_state import stock_packs
from tests.helpers.processes import ServiceProcess

PACKS = {"a": ("one", "two"), "b": ("one", "two"), "c": ("one", "two"), "other": ("one", "three")}
QUICK = ("--replica-seconds", "1", "--ready-seconds", "4", "--drain-seconds", "1")


def stocked_packer(
    folder: Path,
    packs: Mapping[str, Sequence[str]] = PACKS,
    summaries: Mapping[str, dict[str, Any]] | None = None,
    options: Sequence[str] = (),
) -> ServiceProcess:
    """Returns a packer that has packs which nobody runs, and is not started yet.

    Args:
        folder: Its state, its ready file and its log.
        packs: Labels by the pack's id.
        summaries: What their proofs say, by the pack's id.
        options: Further options.
    """
    asyncio.run(stock_packs(folder / "state", packs, summaries))
    return ServiceProcess("packer_svc", folder, [*QUICK, *options])


def packing_packer(folder: Path, slicer_address: str) -> ServiceProcess:
    """Returns a packer beside a slicer that is not started yet."""
    slicer = json.dumps({"address": slicer_address})
    return ServiceProcess("packer_svc", folder, ["--slicer", slicer, "--drain-seconds", "1"])
