"""A pack as the command line shows it."""

from __future__ import annotations

from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.clone_facts import clone_facts
from marketctl.columns import Column, count, moment, ratio, share
from marketctl.evaluation import acceptance_facts, error_text
from marketctl.inputs import input_text
from marketctl.network_shown import network_facts
from marketctl.output import Section
from marketctl.pack_size import size_facts
from marketctl.session import Session

FRAGMENT_COLUMNS = (
    Column("FRAGMENT", lambda fragment: fragment.fragment),
    Column("CLASS", lambda fragment: fragment.label),
    Column("LICENCE", lambda fragment: fragment.licence),
)


def print_pack(session: Session, pack: pb.Pack) -> None:
    """Shows a pack, and what was measured before it was kept."""
    session.printer.one(
        pack, pack_facts(pack), Section("Fragments", FRAGMENT_COLUMNS, pack.fragments)
    )


def pack_facts(pack: pb.Pack) -> list[tuple[str, str]]:
    """Returns what a pack is and what was measured of it, a line each."""
    proof = pack.proof_summary
    facts = [
        ("pack", pack.name),
        ("display name", pack.display_name),
        ("classes", ", ".join(pack.labels)),
        ("inputs", "; ".join(input_text(spec) for spec in pack.inputs)),
        *clone_facts(pack),
    ]
    if not pack.HasField("proof_summary"):
        return facts
    return [
        *facts,
        ("parameters", _against(pack.parameters, pack.ensemble_parameters)),
        ("MACs", _against(pack.macs, pack.ensemble_macs)),
        (
            "proof",
            f"differs from its parts by at most {proof.max_absolute_difference:.1e}, "
            f"same class on {share(proof.top1_agreement)}",
        ),
        ("precision", _precision(pack)),
        *size_facts(pack),
        *network_facts(pack),
        ("accuracy", _accuracy(proof)),
        ("error", error_text(proof)),
        *acceptance_facts(pack),
        *_none_of_these(proof),
        ("graph", pack.graph.name),
        ("made", moment(pack.create_time)),
    ]


def _against(here: int, ensemble: int) -> str:
    return f"{count(here)}, {ratio(here, ensemble)} of the ensemble's {count(ensemble)}"


def _precision(pack: pb.Pack) -> str:
    proof, precision = pack.proof_summary, pack.options.precision or pb.PRECISION_FP32
    name = pb.Precision.Name(precision).removeprefix("PRECISION_").lower()
    if precision == pb.PRECISION_FP32:
        return name
    moved = f"moves probabilities by {proof.precision_divergence:.1e} nats"
    return f"{name}: {moved}, accuracy in fp32 {share(proof.in_sample_accuracy_fp32)}"


def _none_of_these(proof: pb.ProofSummary) -> list[tuple[str, str]]:
    if not proof.HasField("none_of_these_auc"):
        return []
    auc = f"area under the curve {proof.none_of_these_auc:.3f}, on classes left out"
    return [("none of these", auc)]


def _accuracy(proof: pb.ProofSummary) -> str:
    text = f"{share(proof.in_sample_accuracy)} on its own samples"
    if proof.cross_validated_accuracy < 0:
        return f"{text}; too few samples to cross-validate"
    return f"{text}, {share(proof.cross_validated_accuracy)} cross-validated (optimistic)"
