"""By what a pack is to be judged, as requests say it."""

from __future__ import annotations

from collections.abc import Iterator

from sliceandpack.packer.v1 import packs_pb2 as pb

from svckit.artifacts.digests import artifact_name, is_digest
from svckit.errors import FieldViolation

_SAMPLES = pb.EVALUATION_KIND_EVALUATION_SAMPLES


def kind_of(options: pb.PackOptions) -> pb.EvaluationKind.ValueType:
    """Returns by what a pack is judged, the default written out."""
    if options.evaluation_samples:
        return _SAMPLES
    return options.evaluation or pb.EVALUATION_KIND_HEAD_ALONE


def kind_name(options: pb.PackOptions) -> str:
    """Returns the same as the fusion domain calls it."""
    name = pb.EvaluationKind.Name(kind_of(options))
    return name.removeprefix("EVALUATION_KIND_").lower()


def changed_options(before: pb.PackOptions, evaluation_samples: str) -> pb.PackOptions:
    """Returns the options of a pack made of another one.

    Evaluation samples of that one do not count: the classes are others.

    Args:
        before: The other pack's options.
        evaluation_samples: Those of the new pack; empty for none.
    """
    options = pb.PackOptions()
    options.CopyFrom(before)
    options.evaluation_samples = evaluation_samples
    if evaluation_samples or before.evaluation == _SAMPLES:
        options.evaluation = pb.EVALUATION_KIND_UNSPECIFIED
    return options


def evaluation_violations(options: pb.PackOptions) -> Iterator[FieldViolation]:
    """Yields every broken rule of how a pack is to be judged."""
    field = "pack.options.evaluation"
    if options.evaluation not in pb.EvaluationKind.values():
        yield FieldViolation(field, "no such kind")
    elif options.evaluation_samples and options.evaluation not in (0, _SAMPLES):
        yield FieldViolation(field, "evaluation samples are given: they leave no other choice")
    elif options.evaluation == _SAMPLES and not options.evaluation_samples:
        yield FieldViolation(field, "name an artifact with evaluation samples beside it")
    yield from samples_violations(options.evaluation_samples, "pack.options.evaluation_samples")


def samples_violations(name: str, field: str) -> Iterator[FieldViolation]:
    """Yields what is wrong with the name of evaluation samples, which may be left out."""
    prefix = artifact_name("")
    if name and not (name.startswith(prefix) and is_digest(name.removeprefix(prefix))):
        yield FieldViolation(field, "is not an artifact's name")
