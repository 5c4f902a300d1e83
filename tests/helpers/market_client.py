"""What a client does with the services, by plain gRPC stubs that block."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.api_core import operation as google_operation
from google.api_core import operations_v1
from google.api_core.future import polling
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.operation.v1.operation_events_pb2 import OperationMetadata
from sliceandpack.packer.v1 import (
    deployments_pb2,
    deployments_pb2_grpc,
    packs_pb2,
    packs_pb2_grpc,
)
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc, plans_pb2

from tests.helpers.digit_models import DigitModel

SECONDS = 90.0
# The stock pauses grow to 20 seconds, which is meant for longer work than that of tests.
OFTEN = polling.DEFAULT_POLLING.with_delay(initial=0.05, multiplier=1.5, maximum=0.5)
M = TypeVar("M", bound=Message)


class GoogleOperations:
    """Operations as `google.api_core.operation` drives them, with Google's own client.

    Args:
        channel: A channel to a service.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._client = operations_v1.OperationsClient(channel)

    def future(self, operation: operations_pb2.Operation, kind: type[M]) -> Any:
        """Returns the stock future of an operation."""
        return google_operation.from_gapic(
            operation, self._client, kind, metadata_type=OperationMetadata, polling=OFTEN
        )

    def result(self, operation: operations_pb2.Operation, kind: type[M]) -> M:
        """Waits for an operation as Google's client does."""
        answer: M = self.future(operation, kind).result(timeout=SECONDS)
        return answer


@dataclass(eq=False)
class SlicerStubs:
    """The slicer's services.

    Attributes:
        channel: A channel to the slicer.
    """

    channel: grpc.Channel

    def __post_init__(self) -> None:
        """Makes the stubs."""
        self.models = models_pb2_grpc.ModelsStub(self.channel)
        self.operations = GoogleOperations(self.channel)

    def submit_request(self, model_id: str, model: DigitModel) -> models_pb2.CreateModelRequest:
        """Uploads graph and samples; returns the request that submits them."""
        request = models_pb2.CreateModelRequest(model_id=model_id)
        request.model.labels.extend(model.labels)
        request.model.licence = "MIT"
        request.model.graph.name = upload(self.channel, model.graph)
        request.model.samples.name = upload(self.channel, model.samples)
        image = request.model.inputs.add(name="image").image
        image.value_range.minimum, image.value_range.maximum = 0.0, 1.0
        return request

    def submit(self, model_id: str, model: DigitModel) -> models_pb2.Model:
        """Submits a model and waits for it."""
        started = self.models.CreateModel(self.submit_request(model_id, model))
        return self.operations.result(started, models_pb2.Model)

    def plan(self, model_id: str, recipe: plans_pb2.Recipe) -> plans_pb2.Plan:
        """Plans a model and waits for it."""
        request = models_pb2.CreatePlanRequest(parent=f"models/{model_id}")
        request.plan.recipe.CopyFrom(recipe)
        return self.operations.result(self.models.CreatePlan(request), plans_pb2.Plan)

    def slice(
        self, model_id: str, plan: str, labels: Sequence[str], *, joint: bool = False
    ) -> list[str]:
        """Slices classes; returns the names of the fragments."""
        request = models_pb2.SliceModelRequest(
            name=f"models/{model_id}", plan=plan, labels=labels, joint=joint
        )
        started = self.models.SliceModel(request)
        response = self.operations.result(started, models_pb2.SliceModelResponse)
        return [fragment.name for fragment in response.fragments]


@dataclass(eq=False)
class PackerStubs:
    """The packer's services.

    Attributes:
        channel: A channel to the packer.
    """

    channel: grpc.Channel

    def __post_init__(self) -> None:
        """Makes the stubs."""
        self.packs = packs_pb2_grpc.PacksStub(self.channel)
        self.deployments = deployments_pb2_grpc.DeploymentsStub(self.channel)
        self.operations = GoogleOperations(self.channel)

    def pack_request(self, pack_id: str, fragments: Sequence[str]) -> packs_pb2.CreatePackRequest:
        """Returns the request that packs fragments."""
        request = packs_pb2.CreatePackRequest(pack_id=pack_id)
        request.pack.fragments.extend(
            packs_pb2.PackFragment(fragment=fragment) for fragment in fragments
        )
        return request

    def pack(self, pack_id: str, fragments: Sequence[str]) -> packs_pb2.Pack:
        """Packs fragments and waits for it."""
        started = self.packs.CreatePack(self.pack_request(pack_id, fragments))
        return self.operations.result(started, packs_pb2.Pack)

    def deploy_request(self, name: str, pack: str) -> deployments_pb2.CreateDeploymentRequest:
        """Returns the request that serves a pack."""
        request = deployments_pb2.CreateDeploymentRequest(deployment_id=name)
        request.deployment.pack = pack
        return request

    def deploy(self, name: str, pack: str) -> deployments_pb2.Deployment:
        """Serves a pack under a name and waits for it."""
        started = self.deployments.CreateDeployment(self.deploy_request(name, pack))
        return self.operations.result(started, deployments_pb2.Deployment)

    def switch_request(
        self, name: str, pack: str, *, allow: bool = False
    ) -> deployments_pb2.UpdateDeploymentRequest:
        """Returns the request that switches a deployment."""
        request = deployments_pb2.UpdateDeploymentRequest(allow_signature_change=allow)
        request.deployment.name, request.deployment.pack = f"deployments/{name}", pack
        request.update_mask.paths.append("pack")
        return request

    def switch(self, name: str, pack: str, *, allow: bool = False) -> deployments_pb2.Deployment:
        """Switches a deployment and waits for it."""
        started = self.deployments.UpdateDeployment(self.switch_request(name, pack, allow=allow))
        return self.operations.result(started, deployments_pb2.Deployment)


def upload(channel: grpc.Channel, data: bytes) -> str:
    """Uploads bytes in two chunks; returns the artifact's name."""
    name = f"artifacts/sha256:{hashlib.sha256(data).hexdigest()}"
    half = len(data) // 2

    def chunks() -> Iterator[artifacts_pb2.WriteRequest]:
        yield artifacts_pb2.WriteRequest(name=name, data=data[:half])
        yield artifacts_pb2.WriteRequest(write_offset=half, data=data[half:], finish_write=True)

    answer = artifacts_pb2_grpc.ArtifactsStub(channel).Write(chunks(), timeout=SECONDS)
    return str(answer.artifact.name)
