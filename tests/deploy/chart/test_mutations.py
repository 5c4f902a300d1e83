"""Faults that a hand could put into the templates are found."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.chart.faults import faults
from tests.helpers.chart.mutations import ORDER, TOLD, Mutation
from tests.helpers.chart.rendering import (
    CHART,
    PROFILES,
    ROOT,
    TOOLS,
    manifests,
    render,
)

pytestmark = pytest.mark.chart


SELECTOR = 'include "slice-and-pack.selector" (list . '
MUTATIONS = [
    Mutation(
        "a service selects another component",
        "packer/service.yaml",
        f'{SELECTOR}"packer")',
        f'{SELECTOR}"slicer")',
    ),
    Mutation(
        "a service leads to a port that nobody has",
        "slicer/service.yaml",
        "targetPort: grpc",
        "targetPort: rpc",
    ),
    Mutation(
        "a probe asks another port",
        "packer/deployment.yaml",
        "grpc: {port: {{ $ports.health }}}",
        "grpc: {port: 7181}",
    ),
    Mutation(
        "a probe without its kind",
        "slicer/deployment.yaml",
        "grpc: {port: {{ $ports.health }}, service: liveness}",
        "tcpSocket: {port: grpc}",
    ),
    Mutation("a container without limits", "_resources.tpl", "  limits:", "  limitz:"),
    Mutation(
        "a request above its limit",
        "_resources.tpl",
        "cpu: {{ $given.requests.cpu | toString | quote }}",
        'cpu: "99"',
    ),
    Mutation(
        "a policy for pods that do not exist",
        "triton/networkpolicy.yaml",
        f'{SELECTOR}"triton")',
        f'{SELECTOR}"tritons")',
    ),
    Mutation(
        "a policy lets a peer in that does not exist",
        "slicer/networkpolicy.yaml",
        '(list . "packer")',
        '(list . "packers")',
    ),
    Mutation(
        "a policy opens a port that nobody listens on",
        "packer/networkpolicy.yaml",
        "port: {{ $ports.packer }}",
        "port: 7112",
    ),
    Mutation(
        "a policy is open to everybody where nobody is named",
        "packer/networkpolicy.yaml",
        "        {{- toYaml . | nindent 8 }}\n      ports",
        "      ports",
    ),
    Mutation(
        "nothing is denied",
        "networkpolicy.yaml",
        "policyTypes: [Ingress, Egress]",
        "policyTypes: [Ingress]",
    ),
    Mutation(
        "an autoscaler of something else",
        "triton/horizontalpodautoscaler.yaml",
        "kind: StatefulSet",
        "kind: Deployment",
    ),
    Mutation(
        "replicas beside an autoscaler",
        "triton/statefulset.yaml",
        "{{- if not $triton.autoscaling.enabled }}",
        "{{- if true }}",
    ),
    Mutation(
        "an autoscaler by a metric that is not there under MIG",
        "triton/horizontalpodautoscaler.yaml",
        "type: Pods\n",
        "type: Resource\n",
    ),
    Mutation(
        "a disruption budget that lets nothing go",
        "triton/poddisruptionbudget.yaml",
        "maxUnavailable: 1",
        "maxUnavailable: 0",
    ),
    Mutation(
        "a disruption budget over a single pod",
        "triton/poddisruptionbudget.yaml",
        "| int) 1 }}",
        "| int) 0 }}",
    ),
    Mutation(
        "two writers of one database",
        "slicer/deployment.yaml",
        "replicas: 1",
        "replicas: 2",
    ),
    Mutation(
        "a rollout with two writers",
        "packer/deployment.yaml",
        "type: Recreate",
        "type: RollingUpdate",
    ),
    Mutation(
        "an uninstall that deletes data",
        "packer/persistentvolumeclaim.yaml",
        "helm.sh/resource-policy: keep",
        "helm.sh/resource-policy: delete",
    ),
    Mutation(
        "a drain that is cut off",
        "triton/statefulset.yaml",
        "add $triton.endpointSeconds $triton.drainSeconds 15",
        "add $triton.drainSeconds 5",
    ),
    Mutation(
        "a connection that outlives a pod that is to stop",
        "triton/statefulset.yaml",
        "(div (mul 1000 $triton.endpointSeconds) 3)",
        "60000",
    ),
    Mutation(
        "connections that never end",
        "triton/statefulset.yaml",
        "--grpc-max-connection-age",
        "--grpc-keepalive-time",
    ),
    Mutation(
        "a Triton that is ready before its models are",
        "triton/statefulset.yaml",
        "late.\n          readinessProbe:\n            grpc: {port: {{ $ports.health }}}",
        "late.\n          readinessProbe:\n            grpc: {port: {{ $ports.tritonGrpc }}}",
    ),
    Mutation(
        "a root that can be written",
        "_security.tpl",
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
    ),
    Mutation("a process that may be root", "_security.tpl", "runAsNonRoot: true", "runAsUser: 0"),
    Mutation(
        "models on a GPU that is not there",
        "triton/configmap.yaml",
        'ternary "KIND_GPU" "KIND_CPU"',
        'ternary "KIND_GPU" "KIND_GPU"',
    ),
    Mutation(
        "a configuration that nobody is told about",
        "triton/statefulset.yaml",
        "checksum/config",
        "checksum/configuration",
    ),
    Mutation(
        "a volume that is not there",
        "packer/deployment.yaml",
        "- name: state\n              mountPath",
        "- name: data\n              mountPath",
    ),
    Mutation("names without a bound", "_names.tpl", "gt (len $name) 40", "gt (len $name) 400"),
    Mutation(
        "a field that Kubernetes does not have",
        "triton/statefulset.yaml",
        "podManagementPolicy",
        "podManagmentPolicy",
    ),
    Mutation(
        "a monitor of a port without a name",
        "monitoring/servicemonitor.yaml",
        "port: triton-metrics",
        "port: tritonmetrics",
    ),
]


@pytest.mark.parametrize("mutation", [*MUTATIONS, *TOLD, *ORDER], ids=lambda each: each.name)
def test_a_fault_in_a_template_is_found(mutation: Mutation, tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    file = chart / "templates" / mutation.file
    text = file.read_text()
    assert mutation.before in text, "the mutation has nothing to change any more"
    file.write_text(text.replace(mutation.before, mutation.after))
    texts = []
    # With every switch on most is seen.
    for profile in sorted(PROFILES, key=lambda name: name != "everything"):
        texts.append(render(PROFILES[profile], chart=chart))
        if faults(manifests(texts[-1])):
            return
    texts.append(render(chart=chart, release="r" * 53))
    assert faults(manifests(texts[-1])) or _schema_faults(texts, tmp_path)


def _schema_faults(texts: Sequence[str], scratch: Path) -> str:
    """What Kubernetes' schemas find."""
    path = scratch / "rendered.yaml"
    path.write_text("\n---\n".join(texts))
    command = [TOOLS / "python", ROOT / "deploy/helm/check/schemas.py", path]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr
