"""Probes of a manifest, asked as a kubelet asks them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.helpers.release.fields import Fields, UntranslatedError

NAMES = ("startupProbe", "readinessProbe", "livenessProbe")


@dataclass(frozen=True)
class Probe:
    """One probe.

    Attributes:
        port: The port of the pod that is asked.
        service: What gRPC's health is asked for.
        path: What HTTP is asked for, in place of gRPC.
        timeout_seconds: How long an answer may take.
        budget_seconds: How long it may fail before the pod counts as failed.
    """

    port: int
    service: str
    path: str | None
    timeout_seconds: float
    budget_seconds: float

    def passes(self, address: str) -> bool:
        """Whether it passes now.

        Args:
            address: Where its port is reached, ``host:port``.
        """
        return self._answers_grpc(address) if self.path is None else self._answers_http(address)

    def _answers_grpc(self, address: str) -> bool:
        with grpc.insecure_channel(address) as channel:
            request = health_pb2.HealthCheckRequest(service=self.service)
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(
                    request, timeout=self.timeout_seconds
                )
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def _answers_http(self, address: str) -> bool:
        try:
            url = f"http://{address}{self.path}"
            with urllib.request.urlopen(url, timeout=self.timeout_seconds) as answer:
                return bool(200 <= answer.status < 400)
        except (urllib.error.URLError, OSError):
            return False


def probes_of(container: Fields, ports: Mapping[str, int]) -> dict[str, Probe]:
    """Returns a container's probes by their names.

    Args:
        container: Its fields.
        ports: Its ports by name.
    """
    found = {}
    for name in NAMES:
        with container.part(name) as fields:
            if (probe := _probe(fields, ports)) is not None:
                found[name] = probe
    return found


def _probe(fields: Fields, ports: Mapping[str, int]) -> Probe | None:
    period, timeout = fields.take("periodSeconds", 10), fields.take("timeoutSeconds", 1)
    budget = period * fields.take("failureThreshold", 3)
    with fields.part("grpc") as asked:
        if port := asked.take("port", None):
            return Probe(port, asked.take("service", ""), None, timeout, budget)
    with fields.part("httpGet") as asked:
        if port := asked.take("port", None):
            number = ports[port] if isinstance(port, str) else port
            if asked.take("scheme", "HTTP") != "HTTP":
                raise UntranslatedError(f"{asked.at}: only HTTP is known")
            return Probe(number, "", asked.take("path"), timeout, budget)
    return None
