"""Google's stock client drives every kind of operation: success, failure, cancel."""

from __future__ import annotations

import grpc
import pytest
from google.api_core import exceptions
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from sliceandpack.operation.v1.operation_events_pb2 import OperationMetadata
from sliceandpack.packer.v1 import deployments_pb2, packs_pb2
from sliceandpack.slicer.v1 import models_pb2, plans_pb2

from tests.helpers.digit_models import DigitModel, digit_model
from tests.helpers.errors import failed_operation_reason
from tests.helpers.stocked import Stocked

SECONDS = 60.0
# Enough gradient steps for a cancel to come in the middle of the work.
LONG = plans_pb2.Recipe(method=plans_pb2.METHOD_RATE, steps=2000)


def test_a_model_is_created_by_the_stock_client(stocked: Stocked) -> None:
    request = stocked.slicer.submit_request("stock", digit_model((0, 1, 2)))
    future = stocked.slicer.operations.future(
        stocked.slicer.models.CreateModel(request), models_pb2.Model
    )

    assert future.result(timeout=SECONDS).name == "models/stock"
    assert isinstance(future.metadata, OperationMetadata)
    assert future.metadata.kind == "CreateModel"


def test_a_refused_model_fails_the_operation_with_its_reason(stocked: Stocked) -> None:
    model = digit_model((0, 1, 2))
    request = stocked.slicer.submit_request("never", DigitModel((0, 1, 2), b"x", model.samples))
    future = stocked.slicer.operations.future(
        stocked.slicer.models.CreateModel(request), models_pb2.Model
    )

    with pytest.raises(exceptions.InvalidArgument) as refused:
        future.result(timeout=SECONDS)
    assert failed_operation_reason(refused.value) == "GRAPH_NOT_ONNX"


def test_slicing_is_cancelled_by_the_stock_client(stocked: Stocked) -> None:
    plan = stocked.slicer.plan("low", LONG)
    request = models_pb2.SliceModelRequest(name="models/low", plan=plan.name)
    future = stocked.slicer.operations.future(
        stocked.slicer.models.SliceModel(request), models_pb2.SliceModelResponse
    )

    assert future.cancel()
    with pytest.raises(exceptions.GoogleAPICallError) as cancelled:
        future.result(timeout=SECONDS)
    assert cancelled.value.grpc_status_code == grpc.StatusCode.CANCELLED
    assert future.cancelled()


def test_a_pack_fails_and_is_cancelled_by_the_stock_client(stocked: Stocked) -> None:
    packer = stocked.packer
    unknown = packer.pack_request(
        "stock-a", ["models/low/fragments/f-0", "models/low/fragments/f-1"]
    )
    failing = packer.operations.future(packer.packs.CreatePack(unknown), packs_pb2.Pack)
    with pytest.raises(exceptions.NotFound) as missing:
        failing.result(timeout=SECONDS)
    assert failed_operation_reason(missing.value) == "RESOURCE_NOT_FOUND"

    request = packer.pack_request("stock-b", list(stocked.fragments.values()))
    request.pack.head.kind, request.pack.head.steps = packs_pb2.HEAD_KIND_PAPER, 100_000
    cancelling = packer.operations.future(packer.packs.CreatePack(request), packs_pb2.Pack)
    assert cancelling.cancel()
    with pytest.raises(exceptions.GoogleAPICallError):
        cancelling.result(timeout=SECONDS)
    with pytest.raises(grpc.RpcError):
        packer.packs.GetPack(packs_pb2.GetPackRequest(name="packs/stock-b"))


def test_a_deployment_succeeds_and_fails_by_the_stock_client(stocked: Stocked) -> None:
    packer = stocked.packer
    pack = stocked.pack("stock-c", "two", "five")
    started = packer.deployments.CreateDeployment(packer.deploy_request("stock", pack))
    future = packer.operations.future(started, deployments_pb2.Deployment)
    assert future.result(timeout=SECONDS).state == deployments_pb2.DEPLOYMENT_STATE_SERVING

    # The name is checked when it is asked for; only a race between two askers fails later.
    with pytest.raises(grpc.RpcError):
        packer.deployments.CreateDeployment(packer.deploy_request("stock", pack))


@pytest.mark.parametrize("which", ["slicer", "packer"])
def test_reflection_lists_every_service(stocked: Stocked, which: str) -> None:
    channel = (stocked.slicer if which == "slicer" else stocked.packer).channel
    own = {
        "slicer": {"sliceandpack.slicer.v1.Models", "sliceandpack.slicer.v1.Search"},
        "packer": {"sliceandpack.packer.v1.Packs", "sliceandpack.packer.v1.Deployments"},
    }
    services = set(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert services == own[which] | {
        "google.longrunning.Operations",
        "sliceandpack.operation.v1.OperationEvents",
        "sliceandpack.artifact.v1.Artifacts",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
