"""Triton's processor time against that of plain ONNX Runtime, for the same model."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from benchmarks.serve.clients import INPUT, Clients, Images, Order
from benchmarks.serve.processes import cpu_seconds
from onnxgraph.parity import Runner


@dataclass(frozen=True)
class Measured:
    """One model, as Triton and as plain ONNX Runtime run it.

    Attributes:
        clients: Who asks Triton.
        server: The process id of Triton's guardian.
        model: Its name in Triton.
        runner: The same in this process.
        images: What both are asked.
    """

    clients: Clients
    server: int
    model: str
    runner: Runner
    images: Images

    def overhead(self, batch: int, rounds: int, seconds: float) -> float:
        """Processor time of server and stubs over that of plain runs, for one client's requests.

        Args:
            batch: Images of a request.
            rounds: The median of so many is taken; both sides take turns.
            seconds: Of each side in a round.
        """
        ratios = [self._served(batch, seconds) / self._plain(batch, seconds) for _ in range(rounds)]
        return statistics.median(ratios)

    def _served(self, batch: int, seconds: float) -> float:
        """Processor seconds of an image through Triton."""
        start, begun = cpu_seconds(self.server), time.perf_counter()
        order = Order(self.model, batch, seconds)
        rate = self.clients.images_per_second(order, count=1)
        # The requests before the clients' time are answered and paid for too.
        spent = time.perf_counter() - begun
        return (cpu_seconds(self.server) - start) / (rate * spent)

    def _plain(self, batch: int, seconds: float) -> float:
        """Processor seconds of an image by ONNX Runtime alone."""
        feed = {INPUT: self.images[:batch]}
        self.runner.run(feed)
        start, begun, runs = time.process_time(), time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            self.runner.run(feed)
            runs += 1
        return (time.process_time() - start) / (runs * batch)
