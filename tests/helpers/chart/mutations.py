"""Faults that a hand could put into what processes are told, and into their order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """A fault in a template.

    Attributes:
        name: What it is.
        file: The template.
        before: A text in it; every occurrence is replaced.
        after: What takes its place.
    """

    name: str
    file: str
    before: str
    after: str


TOLD = [
    Mutation(
        "a server listens on another port than its container has",
        "_services.tpl",
        'printf "0.0.0.0:%v" $ports.metrics',
        'printf "0.0.0.0:%v" 7191',
    ),
    Mutation(
        "a client calls a port that nobody has",
        "_services.tpl",
        "(index $ports (index . 2)) }}",
        "7199 }}",
    ),
    Mutation(
        "a client calls another service",
        "packer/configmap.yaml",
        '"PACKER_SLICER__" "slicer"',
        '"PACKER_SLICER__" "packer"',
    ),
    Mutation(
        "state beside its volume",
        "slicer/deployment.yaml",
        'mountPath: {{ include "slice-and-pack.state" . }}',
        "mountPath: /data",
    ),
    Mutation(
        "an embedded Triton without shared memory",
        "triton/statefulset.yaml",
        '{{- if eq $triton.flavour "embedded" }}',
        '{{- if eq $triton.flavour "nvidia" }}',
    ),
    Mutation(
        "a claim for several nodes",
        "slicer/persistentvolumeclaim.yaml",
        "ReadWriteOnce",
        "ReadWriteMany",
    ),
    Mutation(
        "a Triton that may change its models",
        "triton/statefulset.yaml",
        "              readOnly: true\n            - name: triton-tmp",
        "            - name: triton-tmp",
    ),
    Mutation(
        "a secret under another key", "triton/statefulset.yaml", "key: secret", "key: password"
    ),
    Mutation(
        "a repository that everybody may change",
        "triton/statefulset.yaml",
        "--http-restricted-api=model-repository,",
        "--http-restricted-api=",
    ),
    Mutation(
        "a certificate without its key",
        "_services.tpl",
        """{{ $prefix }}_TLS_KEY: {{ include "slice-and-pack.certificates" $root }}/tls.key\n""",
        "",
    ),
    Mutation(
        "a client that trusts nobody",
        "_services.tpl",
        """{{ $prefix }}TLS_CA: {{ include "slice-and-pack.certificates" $root }}/ca.crt\n""",
        "",
    ),
    Mutation(
        "certificates that nobody can read",
        "_services.tpl",
        "defaultMode: 0440",
        "defaultMode: 0400",
    ),
    Mutation(
        "certificates of somebody else",
        "packer/deployment.yaml",
        '"slice-and-pack.tlsVolume" (list . "packer")',
        '"slice-and-pack.tlsVolume" (list . "slicer")',
    ),
    Mutation(
        "a slicer that is asked for a GPU that it has not",
        "slicer/configmap.yaml",
        'ternary "cuda" "cpu"',
        'ternary "cuda" "cuda"',
    ),
    Mutation(
        "a packer that is asked for a GPU that it has not",
        "packer/configmap.yaml",
        'ternary "cuda" "cpu"',
        'ternary "cuda" "cuda"',
    ),
    Mutation(
        "a GPU for the image that cannot use it",
        "_images.tpl",
        '$variant = "-cuda"',
        '$variant = ""',
    ),
    Mutation(
        "a GPU for a second container",
        "triton/statefulset.yaml",
        "$triton.reconciler.resources)",
        "$triton.reconciler.resources (dict $triton.gpu.resourceName 1))",
    ),
    Mutation(
        "another component's image",
        "packer/deployment.yaml",
        '"slice-and-pack.image" (list . "packer")',
        '"slice-and-pack.image" (list . "slicer")',
    ),
    Mutation(
        "a pod that knows no secret of the registry",
        "tests/walk.yaml",
        'with include "slice-and-pack.pullSecrets" .',
        'with ""',
    ),
    Mutation(
        "a job label that no rule knows",
        "monitoring/servicemonitor.yaml",
        "jobLabel: app.kubernetes.io/component",
        "jobLabel: app.kubernetes.io/name",
    ),
    Mutation(
        "a caller that can resolve no name",
        "packer/networkpolicy.yaml",
        'with include "slice-and-pack.toNames" .',
        'with ""',
    ),
]
"""What processes are told does not fit what is around them."""

ORDER = [
    Mutation(
        "a sidecar that has to end first",
        "triton/statefulset.yaml",
        "          restartPolicy: Always\n",
        "",
    ),
    Mutation(
        "a sidecar that waits for whom it holds up",
        "triton/statefulset.yaml",
        "startupProbe:\n            grpc: {port: {{ $ports.health }}, service: liveness}",
        "startupProbe:\n            grpc: {port: {{ $ports.health }}}",
    ),
    Mutation(
        "a server that is killed while it waits",
        "slicer/deployment.yaml",
        ", service: liveness}",
        "}",
    ),
    Mutation(
        "a server that is killed for one slow answer",
        "packer/deployment.yaml",
        "failureThreshold: 6",
        "failureThreshold: 1",
    ),
    Mutation(
        "an upgrade that replaces nothing",
        "triton/statefulset.yaml",
        "podManagementPolicy: Parallel",
        "updateStrategy: {type: OnDelete}",
    ),
    Mutation(
        "a test without an end",
        "tests/walk.yaml",
        "  activeDeadlineSeconds: {{ .Values.test.timeoutSeconds | int }}\n",
        "",
    ),
    Mutation(
        "an account that gives its token away",
        "serviceaccount.yaml",
        "automountServiceAccountToken: false",
        "automountServiceAccountToken: true",
    ),
    Mutation(
        "scratch space of the node",
        "slicer/deployment.yaml",
        "          emptyDir:\n            sizeLimit: 1Gi",
        "          hostPath:\n            path: /tmp",
    ),
    Mutation(
        "a budget that waits for who is not ready",
        "triton/poddisruptionbudget.yaml",
        "AlwaysAllow",
        "IfHealthyBudget",
    ),
]
"""What starts, lives or ends in the wrong order, or takes what is not its own."""
