"""A running market with models that are submitted and sliced."""

from __future__ import annotations

from dataclasses import dataclass

from tests.helpers.market_client import PackerStubs, SlicerStubs
from tests.helpers.processes import Market


@dataclass(eq=False)
class Stocked:
    """A running market with three models, sliced.

    Attributes:
        market: The processes.
        slicer: The slicer's stubs.
        packer: The packer's stubs.
        fragments: The names of all fragments by their label.
    """

    market: Market
    slicer: SlicerStubs
    packer: PackerStubs
    fragments: dict[str, str]

    def pack(self, pack_id: str, *labels: str) -> str:
        """Packs classes; returns the pack's name."""
        return self.packer.pack(pack_id, [self.fragments[label] for label in labels]).name
