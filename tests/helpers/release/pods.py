"""What a manifest says of a pod, as words of the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.helpers.chart.parts import WORKLOADS, of_kind, quantity, title
from tests.helpers.chart.rendering import Manifest
from tests.helpers.release.fields import Fields, UntranslatedError
from tests.helpers.release.probes import Probe, probes_of
from tests.helpers.release.variables import Sources, expanded, variables_of

_SHARES = 1024
"""What one processor is worth in a control group."""
_CLUSTER = ("NetworkPolicy", "ServiceAccount")
"""What has no counterpart here: its checks are those of `make chart-check`."""
_KINDS = (*WORKLOADS, "ConfigMap", "Secret", "Service", "PersistentVolumeClaim")


@dataclass(frozen=True)
class Volume:
    """A volume of a pod.

    Attributes:
        claim: The claim that outlives the pod; None for one that goes with it.
        memory_bytes: The size of one that lies in memory.
    """

    claim: str | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Mount:
    """Where a container finds a volume."""

    volume: str
    path: str
    read_only: bool


@dataclass(frozen=True)
class ContainerPlan:
    """A container as it is to be run.

    Attributes:
        name: Its name in the pod.
        image: Its image.
        options: What the engine is told of it, but for mounts and network.
        command: What follows the image.
        mounts: Its volumes.
        probes: By their names in the manifest.
        before_stop: What runs in it before it is asked to end; empty for nothing.
        sidecar: Whether it is there before and after the others.
    """

    name: str
    image: str
    options: tuple[str, ...]
    command: tuple[str, ...]
    mounts: tuple[Mount, ...]
    probes: Mapping[str, Probe]
    before_stop: tuple[str, ...]
    sidecar: bool


@dataclass(frozen=True)
class PodPlan:
    """A pod as it is to be run.

    Attributes:
        name: Its name, which is its host's too.
        labels: What services select it by.
        group: Who owns its volumes.
        containers: In the order of their start.
        volumes: By name.
        ports: Of all its containers, by name.
        grace_seconds: How long it may take to end.
        deadline_seconds: How long it may run; None for ever.
    """

    name: str
    labels: Mapping[str, str]
    group: int
    containers: tuple[ContainerPlan, ...]
    volumes: Mapping[str, Volume]
    ports: Mapping[str, int]
    grace_seconds: int
    deadline_seconds: int | None


@dataclass
class _Reading:
    """What the containers of a pod have in common while it is read."""

    pod: str
    sources: Sources
    options: tuple[str, ...] = ()
    ports: dict[str, int] = field(default_factory=dict)


def planned(found: Sequence[Manifest]) -> dict[str, PodPlan]:
    """Returns the pods of a release by the component that they are.

    Args:
        found: Its manifests.

    Raises:
        UntranslatedError: Something in them has no counterpart here.
    """
    sources, pods = Sources.among(found), {}
    for manifest in found:
        if manifest["kind"] not in (*_KINDS, *_CLUSTER):
            raise UntranslatedError(f"{title(manifest)}: no translation of this kind")
    for manifest in of_kind(found, *WORKLOADS):
        pod = _pod(manifest, sources)
        pods[pod.labels["app.kubernetes.io/component"]] = pod
    return pods


def claims(found: Iterable[Manifest]) -> Iterator[str]:
    """Yields the names of the claims of a release; how large they are is the storage's business."""
    for manifest in of_kind(found, "PersistentVolumeClaim"):
        with Fields(title(manifest), manifest) as fields:
            fields.without_effect("apiVersion", "kind", "metadata")
            with fields.part("spec") as spec:
                spec.exactly(accessModes=["ReadWriteOnce"])
                spec.without_effect("resources")
        yield manifest["metadata"]["name"]


def service_names(found: Iterable[Manifest], pod: PodPlan) -> Iterator[str]:
    """Yields the names of services under which a pod is called.

    Raises:
        UntranslatedError: A service's port is another one than the pod's, or it is of another type.
    """
    for manifest in of_kind(found, "Service"):
        with Fields(title(manifest), manifest) as fields:
            fields.without_effect("apiVersion", "kind", "metadata")
            with fields.part("spec") as spec:
                spec.without_effect("clusterIP")  # Headless or not: a name leads to the pod.
                selects = spec.take("selector").items() <= pod.labels.items()
                for port in spec.parts("ports"):
                    port.without_effect("name", "appProtocol")
                    number, target = port.take("port"), port.take("targetPort")
                    if selects and pod.ports.get(target, target) != number:
                        raise UntranslatedError(f"{port.at}: no translation of ports")
        if selects:
            yield manifest["metadata"]["name"]


def _pod(manifest: Manifest, sources: Sources) -> PodPlan:
    """Returns the one pod of a workload."""
    name = manifest["metadata"]["name"]
    with Fields(title(manifest), manifest) as fields:
        kind = fields.take("kind")
        fields.without_effect("apiVersion")
        if kind == "Pod":
            return _plan(fields, name, sources)
        fields.without_effect("metadata")
        with fields.part("spec") as spec:
            # Names and order of several, and what happens at an upgrade.
            spec.without_effect("selector", "strategy", "serviceName", "podManagementPolicy")
            spec.exactly(replicas=1)
            with spec.part("template") as template:
                pod = f"{name}-0" if kind == "StatefulSet" else name
                return _plan(template, pod, sources)


def _plan(fields: Fields, name: str, sources: Sources) -> PodPlan:
    with fields.part("metadata") as metadata:
        metadata.without_effect("name", "namespace", "annotations")
        labels = metadata.take("labels")
    with fields.part("spec") as spec:
        spec.exactly(automountServiceAccountToken=False, enableServiceLinks=False)
        spec.without_effect("serviceAccountName", "topologySpreadConstraints")
        restart = {"Always": "always", "Never": "no"}[spec.take("restartPolicy", "Always")]
        with spec.part("securityContext") as security:
            user, group = _identity(security)
        reading = _Reading(name, sources, ("--user", user, "--restart", restart))
        containers = tuple(_containers(spec, reading))
        return PodPlan(
            name,
            labels,
            group,
            containers,
            {volume.take("name"): _volume(volume) for volume in spec.parts("volumes")},
            reading.ports,
            spec.take("terminationGracePeriodSeconds", 30),
            spec.take("activeDeadlineSeconds", None),
        )


def _identity(security: Fields) -> tuple[str, int]:
    """Returns user and group of a pod's processes, and the group of its volumes."""
    security.exactly(runAsNonRoot=True, seccompProfile={"type": "RuntimeDefault"})
    security.without_effect("fsGroupChangePolicy")
    user, group = security.take("runAsUser"), security.take("fsGroup")
    if user == 0:
        raise UntranslatedError(f"{security.at}: runs as root")
    return f"{user}:{security.take('runAsGroup')}", group


def _containers(spec: Fields, reading: _Reading) -> Iterator[ContainerPlan]:
    for fields in spec.parts("initContainers"):
        fields.exactly(restartPolicy="Always")  # A sidecar; none runs to its end before the others.
        yield _container(fields, reading, sidecar=True)
    for fields in spec.parts("containers"):
        yield _container(fields, reading, sidecar=False)


def _container(fields: Fields, reading: _Reading, *, sidecar: bool) -> ContainerPlan:
    fields.exactly(imagePullPolicy="IfNotPresent")
    ports = {}
    for port in fields.parts("ports"):
        ports[port.take("name")] = port.take("containerPort")
    reading.ports |= ports
    variables = variables_of(fields, reading.sources, reading.pod)
    command = [expanded(word, variables) for word in fields.take("command", ())]
    arguments = [expanded(word, variables) for word in fields.take("args", ())]
    with fields.part("securityContext") as security, fields.part("resources") as resources:
        options = (*_rights(security), *_resources(resources))
    environment = [word for each in variables.items() for word in ("--env", "=".join(each))]
    entry = ("--entrypoint", command[0]) if command else ()
    with fields.part("lifecycle") as life, life.part("preStop") as hook, hook.part("exec") as run:
        before_stop = tuple(run.take("command", ()))
    return ContainerPlan(
        fields.take("name"),
        fields.take("image"),
        # The image's own health check is the engine's, not Kubernetes'.
        (*reading.options, *options, "--no-healthcheck", *environment, *entry),
        (*command[1:], *arguments),
        tuple(_mounts(fields)),
        probes_of(fields, ports),
        before_stop,
        sidecar,
    )


def _rights(security: Fields) -> tuple[str, ...]:
    security.exactly(allowPrivilegeEscalation=False, readOnlyRootFilesystem=True)
    security.exactly(capabilities={"drop": ["ALL"]})
    return ("--security-opt", "no-new-privileges", "--read-only", "--cap-drop", "ALL")


def _resources(resources: Fields) -> tuple[str, ...]:
    with resources.part("requests") as requests:
        shares = int(quantity(requests.take("cpu")) * _SHARES)
        requests.without_effect("memory")  # For the scheduler alone.
    with resources.part("limits") as limits:
        memory = str(int(quantity(limits.take("memory"))))
        processors = str(quantity(limits.take("cpu")))
    return (
        *("--cpu-shares", str(shares), "--cpus", processors),
        *("--memory", memory, "--memory-swap", memory),
    )


def _mounts(container: Fields) -> Iterator[Mount]:
    for mount in container.parts("volumeMounts"):
        yield Mount(mount.take("name"), mount.take("mountPath"), mount.take("readOnly", False))


def _volume(fields: Fields) -> Volume:
    with fields.part("persistentVolumeClaim") as claim:
        if name := claim.take("claimName", None):
            return Volume(claim=name)
    with fields.part("emptyDir") as folder:
        size = int(quantity(folder.take("sizeLimit")))
        medium = folder.take("medium", "")
        if medium not in {"", "Memory"}:
            raise UntranslatedError(f"{folder.at}: no translation of {medium}")
        # On a disk a kubelet looks at the size now and then, and no engine does.
        return Volume(memory_bytes=size if medium else None)
