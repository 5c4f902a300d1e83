"""Asks a deployment while it is switched: every answer must be one pack's or the other's."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import grpc
import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from numpy.typing import NDArray
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.packer.v1 import packs_pb2, packs_pb2_grpc
from tritonclient.utils import InferenceServerException

from onnxgraph.parity import run_onnx

OUTPUT = "probabilities"
CLOSE = 1e-4
"""By how much an answer may differ from ONNX Runtime's own."""

BATCHES = (1, 2, 5)
ROWS = 10


@dataclass(frozen=True, eq=False)
class Asked:
    """What is asked of a deployment.

    Attributes:
        model: Its name in Triton.
        input_name: The packs' only input.
        rows: Inputs, first axis the sample, at least `max(BATCHES)`.
        expected: What each pack answers to all of them, by the pack's name.
    """

    model: str
    input_name: str
    rows: NDArray[np.float32]
    expected: Mapping[str, NDArray[np.float32]]

    @classmethod
    def of(
        cls, model: str, input_name: str, drawn: NDArray[np.float32], graphs: Mapping[str, bytes]
    ) -> Asked:
        """Takes the inputs by which two packs can best be told apart.

        Args:
            model: The deployment's name in Triton.
            input_name: The packs' only input.
            drawn: Inputs to choose from.
            graphs: The two packs' ONNX files, by their names.
        """
        answers = {pack: run_onnx(graph, {input_name: drawn}) for pack, graph in graphs.items()}
        found = {pack: one[OUTPUT].astype(np.float32) for pack, one in answers.items()}
        one, other = found.values()
        best = np.argsort(-np.abs(one - other).max(axis=1))[:ROWS]
        return cls(model, input_name, drawn[best], {pack: a[best] for pack, a in found.items()})

    def apart(self) -> float:
        """The least difference of two packs' answers on a row: how well they can be told apart."""
        packs = list(self.expected.values())
        gaps = [
            float(np.abs(one - other).max(axis=1).min())
            for place, one in enumerate(packs)
            for other in packs[:place]
        ]
        return min(gaps)

    def pack_of(self, answer: NDArray[np.float32], rows: slice) -> str | None:
        """The pack that gives this answer, None for none."""
        for pack, expected in self.expected.items():
            if answer.shape == expected[rows].shape and np.allclose(
                answer, expected[rows], rtol=0.0, atol=CLOSE
            ):
                return pack
        return None


@dataclass
class Told:
    """What the clients were told.

    Attributes:
        answers: Right answers, by pack.
        problems: What went wrong, a line each.
        allowed: The packs that may answer now: while a switch is under way both, else one.
        enough: Set once the clients may stop.
    """

    allowed: frozenset[str]
    enough: threading.Event = field(default_factory=threading.Event)
    answers: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests(self) -> int:
        """How many were sent and came to an end."""
        with self.lock:
            return self.answers.total() + len(self.problems)


def graph_of(channel: grpc.Channel, pack: str) -> bytes:
    """Reads a pack's ONNX file.

    Args:
        channel: A channel to the packer.
        pack: The pack's name.
    """
    found = packs_pb2_grpc.PacksStub(channel).GetPack(packs_pb2.GetPackRequest(name=pack))
    read = artifacts_pb2_grpc.ArtifactsStub(channel).Read
    return b"".join(chunk.data for chunk in read(artifacts_pb2.ReadRequest(name=found.graph.name)))


def ask_while_switching(
    asked: Asked,
    addresses: Sequence[tuple[str, str]],
    switch: Callable[[str], None],
    plan: tuple[int, Sequence[str]],
) -> Told:
    """Lets clients send one request after the other, and switches at even intervals.

    Args:
        asked: What they ask.
        addresses: A client each: "grpc" or "http", and Triton's ``host:port`` for it.
        switch: Switches to a pack and returns when that is done.
        plan: How many requests at least, and the packs in their order; the first one serves
            already.

    Returns:
        What they were told.

    Raises:
        ValueError: The packs answer too much alike.
    """
    if asked.apart() < 10 * CLOSE:
        raise ValueError(f"the packs' answers differ by {asked.apart():.2g} only")
    requests, (serving, *turns) = plan
    told = Told(frozenset({serving}))
    clients = [
        threading.Thread(target=_client, args=(asked, kind, address, told, place))
        for place, (kind, address) in enumerate(addresses)
    ]
    for client in clients:
        client.start()
    try:
        _switch_in_between(told, switch, requests, turns)
        _wait_for(told, max(requests, told.requests + len(clients)))
    finally:
        told.enough.set()
        for client in clients:
            client.join()
    return told


def _switch_in_between(
    told: Told, switch: Callable[[str], None], requests: int, turns: Sequence[str]
) -> None:
    for place, pack in enumerate(turns):
        _wait_for(told, requests * (place + 1) // (len(turns) + 1))
        told.allowed |= {pack}
        switch(pack)
        told.allowed = frozenset({pack})


def _wait_for(told: Told, requests: int) -> None:
    while told.requests < requests:
        time.sleep(0.005)


def _client(asked: Asked, kind: str, address: str, told: Told, place: int) -> None:
    library = triton_grpc if kind == "grpc" else triton_http
    turn = place
    with library.InferenceServerClient(address) as client:
        while not told.enough.is_set():
            size = BATCHES[turn % len(BATCHES)]
            start = turn % (len(asked.rows) - size + 1)
            rows = slice(start, start + size)
            turn += 1
            before = told.allowed
            try:
                tensor = library.InferInput(asked.input_name, list(asked.rows[rows].shape), "FP32")
                tensor.set_data_from_numpy(asked.rows[rows])
                answer = client.infer(asked.model, [tensor]).as_numpy(OUTPUT)
            except (InferenceServerException, OSError) as error:
                _note(told, None, f"{kind}: {error}")
                continue
            pack = asked.pack_of(answer, rows)
            allowed = before | told.allowed
            _note(told, pack if pack in allowed else None, f"{kind}: an answer of {pack}")


def _note(told: Told, pack: str | None, problem: str) -> None:
    with told.lock:
        if pack is None:
            told.problems.append(problem)
        else:
            told.answers[pack] += 1
