"""What can go wrong with packs and deployments."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.packer.v1 import packs_pb2

from svckit.errors import (
    Aborted,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from svckit.names import listed


def duplicate_fragment(fragment: str) -> InvalidArgument:
    """Returns the error for a fragment that is named twice."""
    return InvalidArgument(
        reasons.ERROR_REASON_FRAGMENTS_DUPLICATE,
        f"{fragment} is named twice.",
        advice="Name every fragment once.",
        metadata={"fragment": fragment},
        violations=[FieldViolation("fragments", f"{fragment} is there twice")],
    )


def duplicate_label(label: str, first: str, second: str) -> InvalidArgument:
    """Returns the error for two fragments of one label that were not meant to share an output."""
    return InvalidArgument(
        reasons.ERROR_REASON_FRAGMENTS_DUPLICATE,
        f"{first} and {second} are both called {label!r}.",
        advice="Give one of them another label, or both the same one if they are one class.",
        metadata={"fragment": second, "label": label},
    )


def same_samples(first: str, second: str) -> InvalidArgument:
    """Returns the error for two outputs that stand for one class of one file of samples."""
    return InvalidArgument(
        reasons.ERROR_REASON_FRAGMENTS_DUPLICATE,
        f"{first} and {second} stand for the same samples: no two outputs can be told apart by "
        "them.",
        advice="Give both fragments one shared label, or leave one of them out.",
        metadata={"fragment": second, "first": first},
    )


def too_few_classes(labels: Sequence[str]) -> InvalidArgument:
    """Returns the error for a pack that would have a single output."""
    return InvalidArgument(
        reasons.ERROR_REASON_FIELD_INVALID,
        f"A pack tells at least two classes apart, and this one would have {len(labels)}.",
        advice="Add a fragment of another class, or give one of them a label of its own.",
        metadata={"field": "pack.fragments"},
        violations=[FieldViolation("pack.fragments", "all of them share one output")],
    )


def budget_unreachable(kind: str, budget: float, least: float) -> InvalidArgument:
    """Returns the error for a budget that the smallest fragments and their head are beyond.

    Args:
        kind: Which field of `PackBudget` was given.
        budget: Its value.
        least: The smallest value that can be met.
    """
    # Rounded up, so that what is advised can be had.
    reachable = f"{math.ceil(least * 1e4) / 1e4:.4f}"
    units = {"latency_ms": "ms", "macs": "of the full originals' MACs"}
    unit = units.get(kind, f"of the full originals' {kind}")
    return InvalidArgument(
        reasons.ERROR_REASON_BUDGET_UNREACHABLE,
        f"The budget is {budget:.4g} {unit}; the smallest pack of these classes has {reachable}.",
        advice=f"Ask for at least {reachable}, or leave out a class.",
        metadata={"budget": f"{budget:.6f}", "least": reachable, "kind": kind},
    )


def latency_missed(budget: float, measured: Sequence[float]) -> InvalidArgument:
    """Returns the error for a budget of time that no pack kept to.

    Args:
        budget: The milliseconds asked for.
        measured: What the packs that were made take.
    """
    # Rounded up: what is advised was there.
    reached = f"{math.ceil(min(measured) * 1e4) / 1e4:.4f}"
    return InvalidArgument(
        reasons.ERROR_REASON_BUDGET_UNREACHABLE,
        f"The budget is {budget:.4g} ms; of {len(measured)} packs that were made the quickest "
        f"takes {reached} ms for one sample on one thread, as the packer measured.",
        advice=f"Ask for at least {reached}, or leave out a class.",
        metadata={"budget": f"{budget:.6f}", "least": reached, "kind": "latency_ms"},
    )


def class_named_twice(first: str, second: str) -> InvalidArgument:
    """Returns the error for two fragments that a budget would make one of."""
    return InvalidArgument(
        reasons.ERROR_REASON_FRAGMENTS_DUPLICATE,
        f"{first} and {second} are of one class: planned together they would be the same.",
        advice="With a budget, name one fragment of every class.",
        metadata={"fragment": second, "first": first},
    )


def pack_in_use(pack: str, deployments: Sequence[str]) -> FailedPrecondition:
    """Returns the error for a pack that deployments point to."""
    return FailedPrecondition(
        reasons.ERROR_REASON_PACK_IN_USE,
        f"{pack} is served, or can be switched back to, by {listed(deployments)}.",
        advice="Delete those deployments, or switch them twice to other packs, then try again.",
        metadata={"deployments": ",".join(deployments)},
    )


_NARROWER = (
    "Make the pack again with evaluation samples (more of them narrow the bound), of larger "
    "fragments or of better models; or let the market accept a larger error."
)


def not_acceptable(
    pack: str, evaluation: packs_pb2.Evaluation, acceptable: float
) -> FailedPrecondition:
    """Returns the error for a pack whose error may be larger than the market accepts."""
    kind = packs_pb2.EvaluationKind.Name(evaluation.kind).removeprefix("EVALUATION_KIND_").lower()
    bound = evaluation.error_upper_bound
    return FailedPrecondition(
        reasons.ERROR_REASON_PACK_NOT_ACCEPTABLE,
        f"The error of {pack} may be up to {bound:.4g} ({evaluation.error:.4g} measured on "
        f"{evaluation.samples} samples, {kind}), and the market accepts {acceptable:g}.",
        advice=_NARROWER,
        metadata={
            "error_upper_bound": f"{bound:.6g}",
            "acceptable_error": f"{acceptable:g}",
            "kind": kind,
        },
    )


def not_evaluated(pack: str, acceptable: float) -> FailedPrecondition:
    """Returns the error for a pack of whose error nothing is known."""
    return FailedPrecondition(
        reasons.ERROR_REASON_PACK_NOT_ACCEPTABLE,
        f"The error of {pack} was never judged, and the market accepts {acceptable:g}.",
        advice="Make the pack again, with evaluation samples where a class has one sample only.",
        metadata={"error_upper_bound": "", "acceptable_error": f"{acceptable:g}", "kind": ""},
    )


def unreachable_origin(fragment: str, gone: NotFound) -> FailedPrecondition:
    """Returns the error for a fragment that cannot be sliced anew."""
    return FailedPrecondition(
        reasons.ERROR_REASON_RESOURCE_NOT_FOUND,
        f"{fragment} cannot be sliced anew: {gone.message}",
        advice="Slice its class again and pack that, give evaluation samples, or judge by the "
        "head alone.",
        metadata={**gone.metadata, "fragment": fragment},
    )


def switch_in_progress(deployment: str, operation: str) -> Aborted:
    """Returns the error for a second switch of a deployment."""
    return Aborted(
        reasons.ERROR_REASON_SWITCH_IN_PROGRESS,
        f"{deployment} is being switched by {operation}.",
        advice="Wait for that operation to end, or cancel it; then try again.",
        metadata={"operation": operation},
    )


def canary_in_progress(deployment: str, pack_id: str) -> FailedPrecondition:
    """Returns the error for a change of a deployment that has a canary."""
    return FailedPrecondition(
        reasons.ERROR_REASON_CANARY_IN_PROGRESS,
        f"packs/{pack_id} is tried beside {deployment} as its canary.",
        advice="Promote that canary or end it, then try again.",
        metadata={"pack": f"packs/{pack_id}"},
    )


def no_canary(deployment: str) -> NotFound:
    """Returns the error for a deployment that has no canary."""
    return NotFound(
        reasons.ERROR_REASON_RESOURCE_NOT_FOUND,
        f"{deployment} has no canary.",
        advice="Start one, or look whether it was promoted or ended meanwhile.",
        metadata={"resource": deployment},
    )


def signature_changed(deployment: str, changed: str) -> FailedPrecondition:
    """Returns the error for a switch that clients would notice."""
    return FailedPrecondition(
        reasons.ERROR_REASON_SIGNATURE_CHANGED,
        f"The new pack changes the {changed.replace(',', ' and ')} of {deployment}.",
        advice="Make a deployment of another name, or allow the change of signature.",
        metadata={"changed": changed},
    )


def no_replica(seconds: float) -> Unavailable:
    """Returns the error for a deployment that nobody could serve."""
    return Unavailable(
        reasons.ERROR_REASON_TRITON_UNAVAILABLE,
        f"No replica of Triton was connected for {seconds:g} seconds.",
        advice="Start a reconciler with its Triton and look at its log; then try again.",
    )


def too_slow(seconds: float) -> DeadlineExceeded:
    """Returns the error for replicas that did not say in time what became of a switch."""
    return DeadlineExceeded(
        reasons.ERROR_REASON_DEADLINE_EXCEEDED,
        f"The replicas did not serve the pack within {seconds:g} seconds.",
        advice="Look at the replicas of the deployment and at the log of their reconcilers.",
    )


def cancelled(operation: str) -> Cancelled:
    """Returns the error for work that was cancelled."""
    return Cancelled(
        reasons.ERROR_REASON_CANCELLED,
        "The work was cancelled.",
        advice="Start it again if needed.",
        metadata={"operation": operation},
    )


def taken_back(operation: str) -> Cancelled:
    """Returns the error for a switch that was cancelled."""
    return Cancelled(
        reasons.ERROR_REASON_CANCELLED,
        "The switch was cancelled and taken back.",
        advice="Ask for the switch again if it is still wanted.",
        metadata={"operation": operation},
    )


def pack_altered(pack: str, role: str, digest: str) -> DataLoss:
    """Returns the error for a pack of which a stored byte is not what was proven."""
    return DataLoss(
        reasons.ERROR_REASON_DIGEST_MISMATCH,
        f"The {role} of {pack} is not what was kept with its proof: it was altered, or is gone.",
        advice="Restore artifacts/ from a backup or make the pack anew, and have the disk checked.",
        metadata={"pack": pack, "role": role, "digest": digest},
    )


def class_known(target: str, label: str) -> InvalidArgument:
    """Returns the error for a class that would be cloned into a model with one of its label."""
    return InvalidArgument(
        reasons.ERROR_REASON_CLONE_CLASS_KNOWN,
        f"{target} knows a class {label!r} already.",
        advice="Leave it out, or give the cloned class another label in the pack.",
        metadata={"label": label, "target": target},
    )


def same_model(target: str, source: str) -> InvalidArgument:
    """Returns the error for a model that would learn from itself."""
    return InvalidArgument(
        reasons.ERROR_REASON_CLONE_SAME_MODEL,
        f"{source} and {target} are one model: it knows its classes already.",
        advice="Name another model that knows the wanted classes as the source.",
        metadata={"target": target, "source": source},
    )


def unknown_class(model: str, label: str, known: Sequence[str]) -> InvalidArgument:
    """Returns the error for a class that a model does not have."""
    return InvalidArgument(
        reasons.ERROR_REASON_CLASS_UNKNOWN,
        f"{model} has no class {label!r}; it has {listed(list(map(repr, known)))}.",
        advice="Name classes of that model, spelt as it spells them.",
        metadata={"label": label},
    )


def target_fixed(pack: str, target: str) -> FailedPrecondition:
    """Returns the error for a change of a clone that its target would not survive."""
    return FailedPrecondition(
        reasons.ERROR_REASON_CLONE_TARGET_FIXED,
        f"{pack} is a clone: all of {target} stays in it, and only cloned classes can be removed.",
        advice="Clone other classes into the target, or pack fragments of its classes.",
        metadata={"pack": pack, "target": target},
    )
