"""What a market accepts: the largest error that may be deployed."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import json_format
from sliceandpack.packer.v1 import packs_pb2 as pb

from packer_svc.store.failures import not_acceptable, not_evaluated
from packer_svc.store.tables import PackRow


@dataclass(frozen=True)
class Gate:
    """Lets packs through whose error is known to be small enough.

    What counts is the upper bound: of few samples nobody can know that a pack is good. A pack that
    serves already goes on doing so when the limit falls; only a switch to it is refused.

    Attributes:
        acceptable_error: The largest upper bound of the error, in (0, 1]; None accepts any pack.
    """

    acceptable_error: float | None = None

    def refuse(self, pack: PackRow) -> None:
        """Refuses a pack that may not be deployed.

        Raises:
            FailedPrecondition: PACK_NOT_ACCEPTABLE.
        """
        summary = json_format.ParseDict(pack.proof_summary, pb.ProofSummary())
        if self.acceptable_error is None or self._lets_through(summary):
            return
        if not summary.HasField("evaluation"):
            raise not_evaluated(pack.name, self.acceptable_error)
        raise not_acceptable(pack.name, summary.evaluation, self.acceptable_error)

    def shown(self, pack: pb.Pack) -> pb.Pack:
        """Returns a pack that also says whether it is accepted."""
        if self.acceptable_error is not None:
            pack.acceptance.acceptable_error = self.acceptable_error
            pack.acceptance.accepted = self._lets_through(pack.proof_summary)
        return pack

    def _lets_through(self, summary: pb.ProofSummary) -> bool:
        assert self.acceptable_error is not None
        known = summary.HasField("evaluation")
        return known and summary.evaluation.error_upper_bound <= self.acceptable_error
