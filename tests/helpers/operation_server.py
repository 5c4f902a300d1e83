"""A server of operations with a handler that a test can hold in front of a class.

`python -m tests.helpers.operation_server --state_dir=… --ready_file=…` runs it as a process.
"""

import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from google.longrunning import operations_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.operation.v1.operation_events_pb2 import OperationMetadata, Progress
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc
from sliceandpack.slicer.v1.fragments_pb2 import Fragment
from sliceandpack.slicer.v1.models_pb2 import SliceModelRequest, SliceModelResponse

from svckit.clock import SystemClock
from svckit.errors import InvalidArgument
from svckit.lifecycle import Runtime
from svckit.operations.backing import Backing
from svckit.operations.job import JobContext
from svckit.operations.runner import Runner
from svckit.operations.services import operation_services
from svckit.operations.settings import OperationSettings
from svckit.operations.store import OperationStore
from svckit.paging import PageTokens
from svckit.process import run
from svckit.server import Service
from svckit.settings import ServerSettings
from tests.helpers.operations import open_with_tables

MADE = "made.txt"
"""The file in the state folder that has a line for every fragment ever made."""

UNKNOWN = "unknown"
"""A label that no model has."""


def hold_file(folder: Path, label: str) -> Path:
    """Returns the file that keeps the handler in front of a class as long as it exists."""
    return folder / f"hold-{label}"


class FragmentMaker:
    """A handler that makes fragments by writing lines, and remembers which it has made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __call__(self, context: JobContext, request: SliceModelRequest) -> SliceModelResponse:
        finished = list(context.state.get("finished", []))
        for label in request.labels[len(finished) :]:
            context.note(
                Progress(
                    phase="slicing",
                    class_label=label,
                    done=len(finished),
                    total=len(request.labels),
                )
            )
            if label == UNKNOWN:
                raise InvalidArgument(
                    reasons.ERROR_REASON_CLASS_UNKNOWN,
                    f"There is no class {label!r}.",
                    advice="Choose one of the model's classes.",
                    metadata={"label": label},
                )
            while hold_file(self._folder, label).exists():  # noqa: ASYNC110  A test deletes it.
                await asyncio.sleep(0.01)
            with (self._folder / MADE).open("a") as lines:
                lines.write(label + "\n")
            finished.append(label)
            await context.save({"finished": finished})
        return SliceModelResponse(
            fragments=[Fragment(name=f"{request.name}/fragments/{name}") for name in finished]
        )


class Models(models_pb2_grpc.ModelsServicer):
    """The one method of the slicer that starts the work."""

    def __init__(self, store: OperationStore) -> None:
        self._store = store

    async def SliceModel(  # noqa: N802
        self, request: SliceModelRequest, _context: Any
    ) -> operations_pb2.Operation:
        target = OperationMetadata(target=request.name)
        return await self._store.submit("SliceModel", request, target, request.request_id)


async def compose(settings: ServerSettings, runtime: Runtime) -> Sequence[Service]:
    """Puts a store, a runner and the services on the database in the state folder."""
    database = await open_with_tables(settings.state_dir)
    runtime.resources.push_async_callback(database.close)
    figures = OperationSettings(progress=0.01, drain=1.0)
    backing = Backing(database, SystemClock(), figures, runtime.metrics)
    store = OperationStore(backing)
    runner = Runner(backing)
    runner.register("SliceModel", FragmentMaker(settings.state_dir), SliceModelRequest)
    await runtime.resources.enter_async_context(runner)
    servicer = Models(store)  # type: ignore[abstract]  # The tests call this one method only.
    models = Service(
        models_pb2.DESCRIPTOR.services_by_name["Models"],
        partial(models_pb2_grpc.add_ModelsServicer_to_server, servicer),
    )
    return models, *operation_services(store, backing, PageTokens(b"key"))


if __name__ == "__main__":
    sys.exit(run(ServerSettings, compose, sys.argv[1:], "operations"))
