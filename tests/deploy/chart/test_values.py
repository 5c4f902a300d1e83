"""What follows from values, and which are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import yaml
from pydantic import TypeAdapter

from packer_svc.settings import PackerSettings
from serving.reconciler.settings import ReconcilerSettings
from slicer_svc.settings import SlicerSettings
from svckit.settings import ServerSettings
from tests.helpers.chart.parts import containers, of_kind, pod_of, settings_of
from tests.helpers.chart.rendering import (
    CHART,
    PROFILES,
    ROOT,
    Manifest,
    RefusedError,
    helm,
    manifests,
    render,
)

pytestmark = pytest.mark.chart

COMPUTING = ("slicer", "packer")


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("slicer.workers=0", "/slicer/workers"),
        ("slicer.workres=2", "/slicer"),
        ("replicas=3", "additional properties 'replicas'"),
        ("slicer.replicas=2", "/slicer"),
        ("packer.logLevel=loud", "/packer/logLevel"),
        ("packer.acceptableError=2", "/packer/acceptableError"),
        ("packer.acceptableError=0", "/packer/acceptableError"),
        ("packer.resources.limits.cpu=two", "/packer/resources/limits/cpu"),
        ("packer.resources.limits.memory=8G", "/packer/resources/limits/memory"),
        ("packer.persistence.size=plenty", "/packer/persistence/size"),
        ("triton.replicas=0", "/triton/replicas"),
        ("triton.flavour=torchserve", "/triton/flavour"),
        ("triton.gpu.resourceName=amd.com/gpu", "/triton/gpu/resourceName"),
        ("triton.gpu.count=17", "/triton/gpu/count"),
        ("triton.gpu.enabled=true", "/triton/gpu"),
        ("slicer.gpu.count=2", "/slicer/gpu/count"),
        ("packer.gpu.count=-1", "/packer/gpu/count"),
        ("slicer.gpu.resourceName=nvidia.com/mig-10gb", "/slicer/gpu/resourceName"),
        ("gpu.enabled=maybe", "/gpu/enabled"),
        ("triton.topologySpread=always", "/triton/topologySpread"),
        ("triton.existingSecret=Not_A_Name", "/triton/existingSecret"),
        ("images.triton.digest=sha256:1234", "/images/triton/digest"),
        ("imageRegistry=https://registry", "/imageRegistry"),
        ("tls.enabled=true", "/tls/secrets/slicer"),
        ("tls.mutual=true", "/tls/mutual"),
        ("monitoring.rules.enabled=true", "/monitoring/serviceMonitor/enabled"),
        ("networkPolicy.predictors[0].nameSpace=shop", "/networkPolicy/predictors/0"),
        ("fullnameOverride=" + "n" * 41, "/fullnameOverride"),
        ("test.timeoutSeconds=1", "/test/timeoutSeconds"),
        ("slicer=null", "missing property 'slicer'"),
        ("triton.replicas=null", "missing property 'replicas'"),
        ("networkPolicy.enabled=null", "missing property 'enabled'"),
        ("triton.gpu=null", "missing property 'gpu'"),
        ("slicer.tolerations[0].operator=Equal", "/slicer/tolerations/0"),
        (
            "slicer.tolerations[0].operator=Exists,slicer.tolerations[0].value=x",
            "/slicer/tolerations/0",
        ),
        (
            "slicer.tolerations[0].key=a,slicer.tolerations[0].tolerationSeconds=5",
            "/slicer/tolerations/0",
        ),
        ("networkPolicy.predictors[0].ipBlock.cidr=300.0.0.1/9", "/predictors/0/ipBlock/cidr"),
        ("networkPolicy.predictors[0].ipBlock.cidr=10.0.0.0/33", "/predictors/0/ipBlock/cidr"),
        (
            "networkPolicy.operators[0].ipBlock.cidr=10.0.0.0/8,"
            "networkPolicy.operators[0].podSelector.matchLabels.a=b",
            "/networkPolicy/operators/0",
        ),
        (
            "networkPolicy.operators[0].podSelector.matchExpressions[0].key=a,"
            "networkPolicy.operators[0].podSelector.matchExpressions[0].operator=In",
            "/podSelector/matchExpressions/0",
        ),
        ("triton.flavour=embedded,triton.sharedMemory=8Gi", "triton.sharedMemory"),
        ("slicer.workers=20", "slicer.resources.limits.memory"),
        ("slicer.resources.requests.cpu=5", "slicer.resources.requests.cpu"),
        ("triton.resources.requests.memory=9Gi", "triton.resources.requests.memory"),
        ("triton.autoscaling.minReplicas=7", "triton.autoscaling.minReplicas"),
    ],
)
def test_a_bad_value_is_refused_by_its_path(setting: str, place: str) -> None:
    with pytest.raises(RefusedError) as caught:
        render((), setting)
    assert place in str(caught.value)


def test_the_embedded_flavour_on_a_gpu_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"triton\.gpu\.count"):
        render(PROFILES["laptop"], "gpu.enabled=true")


def test_no_object_of_the_schema_takes_what_it_does_not_know() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    for place, each in _objects(schema, ""):
        named = "additionalProperties" in each and each["additionalProperties"] is not True
        assert named or place == "/properties/global", place


@pytest.mark.parametrize(
    ("place", "settings", "name"),
    [
        ("slicer.workers", SlicerSettings, "workers"),
        ("packer.workers", PackerSettings, "workers"),
        ("slicer.workerCpuSeconds", SlicerSettings, "worker_cpu_seconds"),
        ("slicer.drainSeconds", SlicerSettings, "drain_seconds"),
        ("packer.drainSeconds", PackerSettings, "drain_seconds"),
        ("packer.readySeconds", PackerSettings, "ready_seconds"),
        ("triton.maxBatchSize", ReconcilerSettings, "max_batch_size"),
        ("triton.instances", ReconcilerSettings, "instances"),
        ("triton.intraOpThreads", ReconcilerSettings, "intra_op_threads"),
    ],
)
def test_a_process_takes_what_lies_within_the_schemas_bounds(
    place: str, settings: type[ServerSettings], name: str
) -> None:
    described = json.loads((CHART / "values.schema.json").read_text())
    for part in place.split("."):
        described = described["properties"][part]
    bounds = described if "maximum" in described else described["anyOf"][1]
    field = settings.model_fields[name]
    taken: TypeAdapter[object] = TypeAdapter(
        Annotated[field.annotation, *field.metadata]  # type: ignore[arg-type]  # Made at run time.
    )
    for value in (bounds["minimum"], bounds["maximum"]):
        taken.validate_python(value)


def test_an_older_kubernetes_than_the_checked_ones_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"incompatible with Kubernetes v1\.28"):
        helm("template", "market", CHART, "--kube-version", "1.28.15")


@pytest.mark.parametrize(
    "cidr", ["10.0.0.0/8", "255.255.255.255/32", "fd00:10::/64", "::/0", "169.254.20.10/32"]
)
def test_a_range_of_addresses_is_taken(cidr: str) -> None:
    render((), f"networkPolicy.predictors[0].ipBlock.cidr={cidr}")


def test_every_value_is_in_the_schema_with_its_default() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) - {"global"} == set(values)


def test_one_switch_makes_everything_run_on_processors_alone() -> None:
    text = render(PROFILES["everything"], "gpu.enabled=false")
    found = manifests(text)
    assert "nvidia.com/" not in text
    assert "runtimeClassName" not in text
    assert "-cuda" not in text
    assert _reconciler(found)["RECONCILER_INSTANCE_KIND"] == "KIND_CPU"
    assert [_device(found, each) for each in COMPUTING] == ["cpu", "cpu"]


@pytest.mark.parametrize("name", ["mig-1g.10gb", "mig-1g.10gb.me", "mig-1c.3g.40gb", "gpu.shared"])
def test_a_part_of_a_gpu_is_asked_for_by_its_name(name: str) -> None:
    resource = f"nvidia.com/{name}"
    found = manifests(
        render(
            PROFILES["gpu"],
            f"triton.gpu.resourceName={resource}",
            f"slicer.gpu.resourceName={resource}",
            f"packer.gpu.resourceName={resource}",
            "slicer.gpu.count=1",
            "packer.gpu.count=1",
        )
    )
    for component in ("triton", *COMPUTING):
        resources = _main(found, component)["resources"]
        assert resources["limits"][resource] == resources["requests"][resource] == 1
        assert "nvidia.com/gpu" not in resources["limits"]


@pytest.mark.parametrize(("component", "other"), [COMPUTING, COMPUTING[::-1]])
def test_a_service_on_a_gpu_has_the_image_that_can_and_goes_where_one_is(
    component: str, other: str
) -> None:
    found = manifests(
        render(PROFILES["gpu"], f"{component}.gpu.count=1", "gpu.runtimeClassName=nvidia")
    )
    assert _device(found, component) == "cuda"
    assert _main(found, component)["image"].endswith("-cuda")
    for pod in (_pod(found, component), _pod(found, "triton")):
        assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
        assert [each["key"] for each in pod["tolerations"]] == ["nvidia.com/gpu"]
        assert pod["runtimeClassName"] == "nvidia"
    assert not {"nodeSelector", "tolerations", "runtimeClassName"} & set(_pod(found, other))


@pytest.mark.parametrize("component", COMPUTING)
def test_a_service_on_processors_is_not_bound_to_nodes_with_gpus(component: str) -> None:
    found = manifests(render(PROFILES["gpu"]))
    assert _device(found, component) == "cpu"
    assert not _main(found, component)["image"].endswith("-cuda")
    assert not {"nodeSelector", "tolerations"} & set(_pod(found, component))


@pytest.mark.parametrize("component", COMPUTING)
def test_a_service_may_have_a_gpu_while_triton_has_none(component: str) -> None:
    found = manifests(render(PROFILES["gpu"], f"{component}.gpu.count=1", "triton.gpu.count=0"))
    assert _device(found, component) == "cuda"
    assert _reconciler(found)["RECONCILER_INSTANCE_KIND"] == "KIND_CPU"
    assert "nvidia.com/gpu" not in _main(found, "triton")["resources"]["limits"]


@pytest.mark.parametrize("component", ["slicer", "packer", "triton"])
def test_a_component_goes_where_its_own_values_say(component: str) -> None:
    there = (f"{component}.nodeSelector.pool=own", f"{component}.tolerations[0].key=own")
    found = manifests(render((), *there))
    placed = {
        each["metadata"]["name"].rpartition("-")[2]
        for each in of_kind(found, "Deployment", "StatefulSet", "Pod")
        if pod_of(each)["spec"].get("nodeSelector") == {"pool": "own"}
        and pod_of(each)["spec"].get("tolerations") == [{"key": "own"}]
    }
    # The pod of `helm test` runs the packer's image, and goes where that is.
    assert placed == {component, *(["test"] if component == "packer" else [])}


def test_labels_and_taints_of_a_component_go_before_those_of_gpus() -> None:
    own = (r"triton.nodeSelector.nvidia\.com/gpu\.present=yes", "triton.nodeSelector.pool=a")
    found = manifests(render(PROFILES["gpu"], *own, "triton.tolerations[0].key=pool"))
    pod = _pod(found, "triton")
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "yes", "pool": "a"}
    assert [each["key"] for each in pod["tolerations"]] == ["pool", "nvidia.com/gpu"]


@pytest.mark.parametrize(
    ("limit", "cores"), [("500m", "1"), ("1", "1"), ("2.5", "2"), ("7500m", "7"), ("16", "16")]
)
def test_threads_follow_from_the_limit_of_processors(limit: str, cores: str) -> None:
    settings = [f"triton.resources.limits.cpu={limit}", "triton.resources.requests.cpu=100m"]
    assert _reconciler(manifests(render((), *settings)))["RECONCILER_CORES"] == cores


def test_workers_share_processors_and_memory() -> None:
    found = manifests(
        render((), "slicer.workers=3", "slicer.resources.limits.cpu=8", "packer.workers=1")
    )
    settings = {
        each["metadata"]["name"].rpartition("-")[2]: each["data"]
        for each in of_kind(found, "ConfigMap")
    }
    assert settings["slicer"]["SLICER_WORKER_THREADS"] == "2"
    assert settings["slicer"]["SLICER_WORKER_MEMORY_BYTES"] == str((8192 - 1024) // 3 * 2**20)
    assert settings["packer"]["PACKER_WORKER_THREADS"] == "4"


def test_the_gpu_profile_has_three_replicas_and_an_autoscaler_rules_alone() -> None:
    (workload,) = of_kind(manifests(render(PROFILES["gpu"])), "StatefulSet")
    assert workload["spec"]["replicas"] == 3
    ruled = manifests(render(PROFILES["gpu"], "triton.autoscaling.enabled=true"))
    (workload,) = of_kind(ruled, "StatefulSet")
    assert "replicas" not in workload["spec"]


def test_a_registry_of_ones_own_replaces_every_other_one() -> None:
    found = manifests(render(PROFILES["gpu"], "imageRegistry=mirror.example.com"))
    for workload in of_kind(found, "Deployment", "StatefulSet", "Pod"):
        for container in containers(workload):
            assert container["image"].startswith("mirror.example.com/"), container["image"]


def test_a_changed_setting_renews_the_pods_that_read_it_and_no_others() -> None:
    before, after = (
        {
            each["metadata"]["name"].rpartition("-")[2]: pod_of(each)["metadata"]["annotations"]
            for each in of_kind(manifests(text), "Deployment", "StatefulSet")
        }
        for text in (render(), render((), "packer.readySeconds=60"))
    )
    assert before["packer"] != after["packer"]
    assert before["slicer"] == after["slicer"]
    assert before["triton"] == after["triton"]


def test_an_existing_claim_and_an_existing_secret_are_not_made_again() -> None:
    found = manifests(render(PROFILES["everything"]))
    claims = [each["metadata"]["name"] for each in of_kind(found, "PersistentVolumeClaim")]
    assert claims == ["market-slice-and-pack-packer"]
    assert not of_kind(found, "Secret")


def test_without_anybody_named_nobody_but_the_release_may_call() -> None:
    for policy in of_kind(manifests(render()), "NetworkPolicy"):
        for rule in policy["spec"].get("ingress", ()):
            assert all(set(peer) == {"podSelector"} for peer in rule["from"])


def test_the_list_of_images_is_what_the_pods_run() -> None:
    values = PROFILES["gpu"][0]
    variables = {**os.environ, "PATH": f"{ROOT / '.chart/bin'}:{os.environ['PATH']}"}
    listed = subprocess.run(
        [ROOT / "deploy/helm/images.sh", "--values", values],
        capture_output=True,
        text=True,
        check=True,
        env=variables,
    ).stdout.split()
    found = manifests(render([values]))
    run = {
        container["image"]
        for workload in of_kind(found, "Deployment", "StatefulSet", "Pod")
        for container in containers(workload)
    }
    assert listed == sorted(run)


def _pod(found: list[Manifest], component: str) -> Manifest:
    (workload,) = (
        each
        for each in of_kind(found, "Deployment", "StatefulSet")
        if each["metadata"]["name"].endswith(f"-{component}")
    )
    pod: Manifest = pod_of(workload)["spec"]
    return pod


def _main(found: list[Manifest], component: str) -> Manifest:
    (container,) = _pod(found, component)["containers"]
    main: Manifest = container
    return main


def _device(found: list[Manifest], component: str) -> str:
    (workload,) = (
        each
        for each in of_kind(found, "Deployment")
        if each["metadata"]["name"].endswith(component)
    )
    return settings_of(workload, containers(workload)[0], found)[f"{component.upper()}_DEVICE"]


def _reconciler(found: list[Manifest]) -> dict[str, str]:
    (workload,) = of_kind(found, "StatefulSet")
    (container,) = workload["spec"]["template"]["spec"]["initContainers"]
    return settings_of(workload, container, found)


def _objects(schema: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yields every part of a schema that describes an object, by its place."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield place, schema
        for key, each in schema.items():
            yield from _objects(each, f"{place}/{key}")
    elif isinstance(schema, list):
        for number, each in enumerate(schema):
            yield from _objects(each, f"{place}/{number}")


def test_the_readme_says_what_the_values_are() -> None:
    command = [sys.executable, str(ROOT / "deploy/helm/check/readme.py"), "--check"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_profiles_are_named_in_the_readme() -> None:
    text = (CHART / "README.md").read_text()
    for path in CHART.glob("values-*.yaml"):
        assert path.name in text
