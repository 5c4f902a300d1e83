"""The packer's messages to and from the reconciler's own values."""

from __future__ import annotations

from google.rpc import status_pb2
from sliceandpack.artifact.v1 import artifacts_pb2
from sliceandpack.packer.v1 import deployments_pb2
from sliceandpack.slicer.v1 import input_spec_pb2

from serving.errors import DesiredInvalidError, ServingError
from serving.model_config import DataType, TensorConfig
from serving.reconciler.comparison import Comparison
from serving.reconciler.desired import Desired, Outcome
from serving.reconciler.parity import LiveParity
from serving.traffic import Traffic
from serving.tuning import RunTime
from svckit.errors import from_domain
from svckit.status import to_status

_COLLECTION = "deployments/"
_ARTIFACTS = "artifacts/"
_DATA_TYPES = {
    input_spec_pb2.ELEMENT_TYPE_FLOAT32: DataType.FP32,
    input_spec_pb2.ELEMENT_TYPE_UINT8: DataType.UINT8,
    input_spec_pb2.ELEMENT_TYPE_INT64: DataType.INT64,
    input_spec_pb2.ELEMENT_TYPE_INT32: DataType.INT32,
}


def model_name(deployment: str) -> str:
    """The name in Triton of a deployment, "deployments/NAME"."""
    return deployment.removeprefix(_COLLECTION)


def artifact_name(digest: str) -> str:
    """The resource name of an artifact."""
    return _ARTIFACTS + digest


def desired_from(message: deployments_pb2.DesiredDeployment) -> Desired:
    """Reads one desired deployment.

    Args:
        message: As the packer sent it.

    Raises:
        DesiredInvalidError: Something that no model can be served without is missing or unknown.
    """
    if message.version < 1:
        raise _invalid(message, f"version {message.version} is below 1")
    if not message.labels or not message.inputs:
        raise _invalid(message, "it has no labels or no inputs")
    if any("\n" in label or "\r" in label for label in message.labels):
        raise _invalid(message, "a label has more than one line")
    return Desired(
        name=model_name(message.name),
        generation=message.generation,
        pack=message.pack,
        version=message.version,
        graph=_digest(message.graph),
        smoke_test=_digest(message.smoke_test),
        labels=tuple(message.labels),
        inputs=tuple(_input(message, entry) for entry in message.inputs),
        previous_version=message.previous_version or None,
        run_time=_run_time(message),
        none_of_these=message.none_of_these,
        canary_of=model_name(message.canary_of) or None,
    )


def report_from(outcome: Outcome, replica: str) -> deployments_pb2.ReportReadyRequest:
    """Writes the report on one deployment.

    Args:
        outcome: What became of it.
        replica: This replica's name.
    """
    return deployments_pb2.ReportReadyRequest(
        replica=replica,
        deployment=_COLLECTION + outcome.name,
        generation=outcome.generation,
        version=outcome.version or 0,
        error=None if outcome.error is None else _status(outcome.error, outcome.name, replica),
        smoke_max_absolute_difference=outcome.difference,
        parity=map(_parity, outcome.parity),
        comparison=None if outcome.comparison is None else _comparison(outcome.comparison),
    )


def _status(error: ServingError, name: str, replica: str) -> status_pb2.Status:
    facts = {**error.metadata, "replica": replica, "deployment": _COLLECTION + name}
    return to_status(from_domain(error.reason, error.message, error.advice, facts))


def _parity(case: LiveParity) -> deployments_pb2.LiveParity:
    return deployments_pb2.LiveParity(
        inputs=case.inputs,
        output=case.output,
        rows=case.rows,
        max_absolute_difference=case.parity.max_abs,
        max_relative_difference=case.parity.max_rel,
        cosine_similarity=case.parity.cosine,
        top1_agreement=case.parity.top1,
        absolute_tolerance=case.tolerance.atol,
        relative_tolerance=case.tolerance.rtol,
        passed=case.parity.passed,
    )


def _comparison(found: Comparison) -> deployments_pb2.CanaryComparison:
    message = deployments_pb2.CanaryComparison(
        deployment=_traffic(found.deployment), canary=_traffic(found.canary)
    )
    message.start_time.FromMicroseconds(round(1e6 * found.start))
    if found.agreement is not None:
        message.agreement.rows = found.agreement.rows
        message.agreement.top1_agreement = found.agreement.top1
        message.agreement.max_absolute_difference = found.agreement.max_abs
    return message


def _traffic(traffic: Traffic) -> deployments_pb2.ModelTraffic:
    return deployments_pb2.ModelTraffic(
        requests=traffic.requests,
        errors=traffic.errors,
        request_seconds=traffic.seconds,
        queue_seconds=traffic.queue_seconds,
        compute_seconds=traffic.compute_seconds,
    )


def _digest(message: artifacts_pb2.Artifact) -> str:
    return message.name.removeprefix(_ARTIFACTS)


def _input(
    message: deployments_pb2.DesiredDeployment, entry: input_spec_pb2.InputSpec
) -> TensorConfig:
    data_type = _DATA_TYPES.get(entry.element_type)
    if data_type is None:
        raise _invalid(message, f"input {entry.name!r} has no known element type")
    dims = tuple(size if size > 0 else -1 for size in entry.shape)
    return TensorConfig(entry.name, data_type, dims)


def _run_time(message: deployments_pb2.DesiredDeployment) -> RunTime | None:
    single, batch = message.run_time.single_seconds, message.run_time.batch_seconds
    return RunTime(single, batch) if single > 0 and batch > 0 else None


def _invalid(message: deployments_pb2.DesiredDeployment, what: str) -> DesiredInvalidError:
    return DesiredInvalidError(
        f"{message.name!r} cannot be served: {what}",
        advice="Make the pack anew, and see that packer and reconciler are of one version.",
    )
