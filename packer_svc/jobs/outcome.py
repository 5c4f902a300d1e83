"""What the making of a pack found out, as its proof and its row tell it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from packer_svc.fusion.evaluation import Evaluation
from packer_svc.fusion.proof import Proof
from packer_svc.fusion.run_time import RunTime
from packer_svc.jobs.budget import Weighed


@dataclass(frozen=True, eq=False)
class Outcome:
    """All that was measured of a pack.

    Attributes:
        proof: Its proof.
        time: How long it runs.
        evaluation: The error to expect of it; None where nothing tells.
        weighed: What its budget cost.
    """

    proof: Proof
    time: RunTime
    evaluation: Evaluation | None
    weighed: Weighed

    def proof_json(self) -> dict[str, Any]:
        """The proof as plain JSON."""
        evaluation = None if self.evaluation is None else self.evaluation.to_json()
        told = {"run_time": asdict(self.time), "evaluation": evaluation}
        return self.proof.to_json() | told | self.weighed.proof

    def summary(self) -> dict[str, Any]:
        """What the proof says, by the fields of `packer.v1.ProofSummary`."""
        proof, validated = self.proof, self.proof.cross_validation
        judged = {} if self.evaluation is None else {"evaluation": self.evaluation.summary()}
        score = proof.none_of_these
        scored = {} if score is None else {"none_of_these_auc": score.roc.auc}
        return {
            "max_absolute_difference": proof.max_abs,
            "top1_agreement": proof.top1,
            "in_sample_accuracy": proof.in_sample_accuracy,
            "cross_validated_accuracy": -1.0 if validated is None else validated.accuracy,
            "precision_divergence": proof.precision.divergence if proof.precision else 0.0,
            "in_sample_accuracy_fp32": proof.in_sample_accuracy_fp32,
            "run_time": asdict(self.time),
            **judged,
            **scored,
            **self.weighed.summary,
        }
