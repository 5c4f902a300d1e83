"""Nothing that was acknowledged is lost when a process is killed, and no client notices more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from google.longrunning import operations_pb2, operations_pb2_grpc
from sliceandpack.operation.v1 import operation_events_pb2, operation_events_pb2_grpc
from sliceandpack.packer.v1 import deployments_pb2, packs_pb2
from sliceandpack.slicer.v1 import fragments_pb2, models_pb2, plans_pb2
from tritonclient.utils import InferenceServerException

from tests.helpers.processes import ServiceProcess, children_of, command_of, end
from tests.helpers.stocked import Stocked

SECONDS = 60.0
T = TypeVar("T")
IMAGE = np.zeros((1, 1, 8, 8), np.float32)


def test_a_killed_slicer_goes_on_with_the_classes_that_were_missing(stocked: Stocked) -> None:
    recipe = plans_pb2.Recipe(method=plans_pb2.METHOD_RATE, steps=20, seed=7)
    plan = stocked.slicer.plan("middle", recipe)
    request = models_pb2.SliceModelRequest(name="models/middle", plan=plan.name, request_id="once")
    started = stocked.slicer.models.SliceModel(request)
    first = until(lambda: fragments_of(stocked, plan.name))
    seen = last_sequence(stocked.slicer.channel, started.name)

    restart(stocked.market.slicer)
    replayed = again(lambda: stocked.slicer.models.SliceModel(request))
    events = watch(stocked.slicer.channel, started.name, seen)
    ended = operation(stocked.slicer.channel, started.name)
    kept = {one.name: one.create_time.ToNanoseconds() for one in fragments_of(stocked, plan.name)}

    assert replayed.name == started.name
    assert ended.HasField("response")
    assert [event.sequence for event in events] == list(range(seen + 1, seen + 1 + len(events)))
    assert events[-1].state == operation_events_pb2.STATE_SUCCEEDED
    assert len(kept) == 3
    assert kept[first[0].name] == first[0].create_time.ToNanoseconds()


def test_a_killed_packer_finishes_the_pack_it_was_making(stocked: Stocked) -> None:
    request = stocked.packer.pack_request("phoenix", list(stocked.fragments.values())[:4])
    request.pack.head.kind, request.pack.head.steps = packs_pb2.HEAD_KIND_PAPER, 400
    started = stocked.packer.packs.CreatePack(request)
    until(lambda: running(stocked.packer.channel, started.name))

    restart(stocked.market.packer)
    watch(stocked.packer.channel, started.name, 0)
    ended = operation(stocked.packer.channel, started.name)
    pack = packs_pb2.Pack()

    assert ended.response.Unpack(pack), ended.error
    assert pack.name == "packs/phoenix"
    assert len(pack.labels) == 4


def test_a_killed_triton_comes_back_serving_everything(stocked: Stocked) -> None:
    stocked.packer.deploy("comeback", stocked.pack("comeback-a", "zero", "three"))
    (server,) = processes_of(stocked, "tritonserver")

    end(server)
    with triton.InferenceServerClient(stocked.market.triton_grpc) as client:
        until(lambda: processes_of(stocked, "tritonserver") not in ([], [server]))
        until(lambda: answers(client, "comeback"))


def test_a_killed_stub_is_replaced_under_load(stocked: Stocked) -> None:
    stocked.packer.deploy("healed", stocked.pack("healed-a", "one", "five"))
    before = processes_of(stocked, "triton_python_backend_stub")
    with load(stocked.market.triton_grpc, "healed"):
        for stub in before:
            with suppress(ProcessLookupError):
                end(stub)
        with triton.InferenceServerClient(stocked.market.triton_grpc) as client:
            until(
                lambda: not set(processes_of(stocked, "triton_python_backend_stub")) & set(before)
            )
            until(lambda: answers(client, "healed"))


def test_a_restarted_reconciler_serves_what_is_desired(stocked: Stocked) -> None:
    stocked.packer.deploy("adopted", stocked.pack("adopted-a", "two", "seven"))

    stocked.market.reconciler.kill()
    degraded = until(
        lambda: state_of(stocked, "adopted") == deployments_pb2.DEPLOYMENT_STATE_DEGRADED
    )
    stocked.market.triton = stocked.market.reconciler.start()
    with triton.InferenceServerClient(stocked.market.triton_grpc) as client:
        until(lambda: answers(client, "adopted"))
    serving = until(
        lambda: state_of(stocked, "adopted") == deployments_pb2.DEPLOYMENT_STATE_SERVING
    )

    assert degraded
    assert serving


def test_switches_under_load_fail_no_request(stocked: Stocked) -> None:
    packs = [stocked.pack(f"load-{place}", "four", "eight") for place in range(2)]
    stocked.packer.deploy("load", packs[0])
    with load(stocked.market.triton_grpc, "load") as outcome:
        for turn in range(10):
            stocked.packer.switch("load", packs[(turn + 1) % 2])

    assert outcome.errors == []
    assert outcome.answered > 10


@pytest.mark.parametrize("name", ["slicer", "packer", "reconciler"])
def test_a_service_that_is_asked_to_stop_ends_cleanly_and_comes_back(
    stocked: Stocked, name: str
) -> None:
    process: ServiceProcess = getattr(stocked.market, name)

    assert process.stop() == 0
    found = process.start()
    if name == "reconciler":
        stocked.market.triton = found


class Outcome:
    """What a client under load met."""

    def __init__(self) -> None:
        self.answered = 0
        self.errors: list[str] = []


@contextmanager
def load(address: str, name: str) -> Iterator[Outcome]:
    """Sends one request after the other to a model, as long as the block lasts."""
    outcome, stop = Outcome(), threading.Event()

    def send() -> None:
        with triton.InferenceServerClient(address) as client:
            while not stop.is_set():
                try:
                    infer(client, name)
                except InferenceServerException as error:
                    outcome.errors.append(str(error))
                else:
                    outcome.answered += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield outcome
    finally:
        stop.set()
        sender.join(SECONDS)


def infer(client: triton.InferenceServerClient, name: str) -> None:
    tensor = triton.InferInput("image", [1, 1, 8, 8], "FP32")
    tensor.set_data_from_numpy(IMAGE)
    client.infer(name, [tensor], client_timeout=10)


def answers(client: triton.InferenceServerClient, name: str) -> bool:
    try:
        infer(client, name)
    except InferenceServerException:
        return False
    return True


def restart(process: ServiceProcess) -> None:
    process.kill()
    process.start()


def processes_of(stocked: Stocked, program: str) -> list[int]:
    process = stocked.market.reconciler.process
    assert process is not None
    found = []
    for pid in children_of(process.pid):
        with suppress(OSError):
            if program in command_of(pid).partition(" ")[0]:
                found.append(pid)
    return found


def fragments_of(stocked: Stocked, plan: str) -> list[fragments_pb2.Fragment]:
    request = models_pb2.ListFragmentsRequest(parent="models/middle", filter=f'plan = "{plan}"')
    return list(again(lambda: stocked.slicer.models.ListFragments(request)).fragments)


def state_of(stocked: Stocked, name: str) -> int:
    request = deployments_pb2.GetDeploymentRequest(name=f"deployments/{name}")
    return stocked.packer.deployments.GetDeployment(request).state


def operation(channel: grpc.Channel, name: str) -> operations_pb2.Operation:
    stub = operations_pb2_grpc.OperationsStub(channel)
    request = operations_pb2.GetOperationRequest(name=name)
    found: operations_pb2.Operation = again(lambda: stub.GetOperation(request))
    return found


def running(channel: grpc.Channel, name: str) -> bool:
    metadata = operation_events_pb2.OperationMetadata()
    assert operation(channel, name).metadata.Unpack(metadata)
    return metadata.progress.phase == "head"


def last_sequence(channel: grpc.Channel, name: str) -> int:
    metadata = operation_events_pb2.OperationMetadata()
    assert operation(channel, name).metadata.Unpack(metadata)
    return metadata.last_sequence


def watch(
    channel: grpc.Channel, name: str, after: int
) -> list[operation_events_pb2.OperationEvent]:
    """The events of an operation up to its end."""
    stub = operation_events_pb2_grpc.OperationEventsStub(channel)
    request = operation_events_pb2.WatchOperationRequest(name=name, after_sequence=after)
    return again(lambda: list(stub.WatchOperation(request, timeout=SECONDS)))


def again(call: Callable[[], T]) -> T:
    """Calls a service that may just have been restarted, for a few seconds."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def until(look: Callable[[], T]) -> T:
    """Looks until there is something to see."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")
