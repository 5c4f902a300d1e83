"""What a pack with a budget tells of it."""

from __future__ import annotations

from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.columns import share


def size_facts(pack: pb.Pack) -> list[tuple[str, str]]:
    """Returns what was asked for and what it cost; nothing for a pack without a budget.

    Args:
        pack: The pack.
    """
    if not pack.options.HasField("budget"):
        return []
    proof = pack.proof_summary
    return [("budget", _asked(pack.options.budget, proof)), ("before it", _before(proof))]


def _asked(budget: pb.PackBudget, proof: pb.ProofSummary) -> str:
    match budget.WhichOneof("size"):
        case "latency_ms":
            taken = 1_000 * proof.run_time.single_seconds
            return f"{budget.latency_ms:g} ms for one sample on one thread; it takes {taken:.3g} ms"
        case "parameters":
            return f"{share(budget.parameters)} of the ensemble's parameters"
        case _:
            return f"{share(budget.macs)} of the ensemble's MACs"


def _before(proof: pb.ProofSummary) -> str:
    before, after = proof.cross_validated_accuracy_before, proof.cross_validated_accuracy
    if min(before, after) < 0:
        return "too few samples to cross-validate"
    return (
        f"{share(before)} cross-validated on the fragments named, {share(after)} on those sliced "
        "anew (optimistic)"
    )
