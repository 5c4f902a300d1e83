"""What a client does with deployments, by the generated stubs alone."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.longrunning import operations_pb2
from sliceandpack.packer.v1 import deployments_pb2 as pb
from sliceandpack.packer.v1 import deployments_pb2_grpc

from tests.helpers.operations_client import OperationsClient


class DeploymentsClient(OperationsClient):
    """A client of Deployments.

    Args:
        channel: A channel to the packer.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel)
        self.stub: deployments_pb2_grpc.DeploymentsAsyncStub
        self.stub = deployments_pb2_grpc.DeploymentsStub(channel)

    async def begin_create(self, name: str, pack: str, **more: Any) -> operations_pb2.Operation:
        """Asks for a new deployment."""
        deployment = pb.Deployment(pack=pack)
        return await self.stub.CreateDeployment(
            pb.CreateDeploymentRequest(deployment_id=name, deployment=deployment, **more)
        )

    async def create(self, name: str, pack: str) -> pb.Deployment:
        """Makes a deployment and waits for it."""
        return await self.result(await self.begin_create(name, pack))

    async def begin_update(
        self, deployment: pb.Deployment, *paths: str, **more: Any
    ) -> operations_pb2.Operation:
        """Asks for a change of a deployment."""
        request = pb.UpdateDeploymentRequest(deployment=deployment, **more)
        request.update_mask.paths.extend(paths)
        return await self.stub.UpdateDeployment(request)

    async def begin_switch(self, name: str, pack: str, **more: Any) -> operations_pb2.Operation:
        """Asks for another pack."""
        deployment = pb.Deployment(name=f"deployments/{name}", pack=pack)
        return await self.begin_update(deployment, "pack", **more)

    async def switch(self, name: str, pack: str, **more: Any) -> pb.Deployment:
        """Switches to another pack and waits for it."""
        return await self.result(await self.begin_switch(name, pack, **more))

    async def begin_canary(
        self, name: str, pack: str, share: float, **more: Any
    ) -> operations_pb2.Operation:
        """Asks for a canary beside a deployment, or for another share of the one that is there."""
        request = pb.StartCanaryRequest(name=f"deployments/{name}", pack=pack, share=share, **more)
        return await self.stub.StartCanary(request)

    async def start_canary(self, name: str, pack: str, share: float, **more: Any) -> pb.Deployment:
        """Starts a canary and waits for it."""
        return await self.result(await self.begin_canary(name, pack, share, **more))

    async def begin_promotion(self, name: str, **more: Any) -> operations_pb2.Operation:
        """Asks for the switch to a canary's pack."""
        request = pb.PromoteCanaryRequest(name=f"deployments/{name}", **more)
        return await self.stub.PromoteCanary(request)

    async def promote(self, name: str, **more: Any) -> pb.Deployment:
        """Promotes a canary and waits for it."""
        return await self.result(await self.begin_promotion(name, **more))

    async def end_canary(self, name: str, **more: Any) -> pb.Deployment:
        """Takes a canary back."""
        return await self.stub.EndCanary(pb.EndCanaryRequest(name=f"deployments/{name}", **more))

    async def result(self, operation: operations_pb2.Operation) -> pb.Deployment:
        """Waits for an operation.

        Raises:
            OperationFailedError: It failed.
        """
        return await self.response(operation, pb.Deployment)

    async def get(self, name: str) -> pb.Deployment:
        """Returns a deployment."""
        return await self.stub.GetDeployment(pb.GetDeploymentRequest(name=f"deployments/{name}"))

    async def names(self) -> list[str]:
        """Returns the names of all deployments."""
        listed = await self.stub.ListDeployments(pb.ListDeploymentsRequest(order_by="name"))
        return [deployment.name for deployment in listed.deployments]

    async def delete(self, name: str, **more: Any) -> None:
        """Deletes a deployment."""
        await self.stub.DeleteDeployment(
            pb.DeleteDeploymentRequest(name=f"deployments/{name}", **more)
        )

    async def delete_all(self) -> None:
        """Deletes every deployment; those that are being switched once that has ended."""
        async with asyncio.timeout(30):
            for name in await self.names():
                while True:
                    try:
                        await self.delete(name.removeprefix("deployments/"))
                        break
                    except grpc.aio.AioRpcError as error:
                        if error.code() is grpc.StatusCode.NOT_FOUND:
                            break
                        await asyncio.sleep(0.1)
