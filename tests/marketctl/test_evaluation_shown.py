"""What a person is told of a pack's error."""

from __future__ import annotations

from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.evaluation import acceptance_facts, error_text


def proof(kind: pb.EvaluationKind.ValueType) -> pb.ProofSummary:
    found = pb.Evaluation(kind=kind, error=0.05, error_upper_bound=0.11, samples=60)
    return pb.ProofSummary(evaluation=found)


def test_error_bound_and_samples_stand_beside_how_they_were_found() -> None:
    assert error_text(proof(pb.EVALUATION_KIND_EVALUATION_SAMPLES)) == (
        "5.0 % of 60 samples, 11.0 % at most with 95 % confidence; on evaluation samples"
    )
    assert "optimistic" in error_text(proof(pb.EVALUATION_KIND_HEAD_ALONE))
    assert "optimistic" not in error_text(proof(pb.EVALUATION_KIND_SLICED_ANEW))
    assert error_text(pb.ProofSummary()) == "not judged"


def test_acceptance_is_told_where_the_market_sets_a_limit() -> None:
    assert acceptance_facts(pb.Pack()) == []
    [(name, text)] = acceptance_facts(
        pb.Pack(acceptance=pb.Acceptance(acceptable_error=0.1, accepted=True))
    )
    assert (name, text) == ("accepted", "yes: the market accepts 10.0 % at most")
    [(_, text)] = acceptance_facts(pb.Pack(acceptance=pb.Acceptance(acceptable_error=0.1)))
    assert text.startswith("no, it cannot be deployed")
