"""Manifests as plans for an engine: all of them is read, and what has no counterpart is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.helpers.chart.parts import of_kind
from tests.helpers.chart.rendering import Manifest, manifests
from tests.helpers.release.fields import UntranslatedError
from tests.helpers.release.pods import Mount, Volume, planned, service_names
from tests.helpers.release.variables import expanded

pytestmark = pytest.mark.chart

Pod = dict[str, Any]


@pytest.fixture
def laptop(rendered: Mapping[str, str]) -> list[Manifest]:
    return manifests(rendered["laptop"])


def test_the_laptop_profile_is_understood_to_the_last_field(laptop: list[Manifest]) -> None:
    pods = planned(laptop)
    assert set(pods) == {"slicer", "packer", "triton", "test"}
    reconciler, triton = pods["triton"].containers
    assert (reconciler.sidecar, triton.sidecar) == (True, False)
    assert triton.mounts[0] == Mount("state", "/var/lib/slice-and-pack", read_only=True)
    assert triton.before_stop == ("sleep", "2")
    assert pods["triton"].volumes["shared-memory"] == Volume(memory_bytes=256 * 2**20)
    assert pods["slicer"].volumes["state"] == Volume(claim="market-slice-and-pack-slicer")
    words = " ".join(reconciler.options)
    assert "--env RECONCILER_REPLICA=market-slice-and-pack-triton-0" in words
    assert "--user 10001:10001 --restart always" in words
    for part in ("--read-only", "--cap-drop ALL", "--cpus 1.0", f"--memory {512 * 2**20}"):
        assert part in words
    assert list(service_names(laptop, pods["slicer"])) == ["market-slice-and-pack-slicer"]
    assert len(list(service_names(laptop, pods["triton"]))) == 2


def test_a_word_that_refers_to_a_secret_holds_it(laptop: list[Manifest]) -> None:
    (secret,) = of_kind(laptop, "Secret")
    secret["data"]["secret"] = "b3BlbiBzZXNhbWU="
    _, triton = planned(laptop)["triton"].containers
    assert sum(word.endswith("sliceandpack-secret=open sesame") for word in triton.command) == 2


def test_references_are_expanded_as_a_kubelet_does() -> None:
    variables = {"NAME": "value"}
    assert expanded("$(NAME) $$(NAME) $(OTHER) $NAME", variables) == "value $(NAME) $(OTHER) $NAME"


def _spec(found: list[Manifest]) -> Pod:
    (workload,) = of_kind(found, "StatefulSet")
    spec: Pod = workload["spec"]["template"]["spec"]
    return spec


def _read(found: list[Manifest]) -> None:
    for pod in planned(found).values():
        list(service_names(found, pod))


def _service(found: list[Manifest]) -> Pod:
    service: Pod = of_kind(found, "Service")[0]["spec"]
    return service


FAULTS: dict[str, Callable[[list[Manifest]], Any]] = {
    "no translation of this kind": lambda found: found.append(
        {"kind": "DaemonSet", "metadata": {"name": "x"}}
    ),
    "hostAliases": lambda found: _spec(found).update(hostAliases=[]),
    "automountServiceAccountToken is True": lambda found: _spec(found).update(
        automountServiceAccountToken=True
    ),
    "runs as root": lambda found: _spec(found)["securityContext"].update(runAsUser=0),
    "containers[0]: no translation of stdin": lambda found: _spec(found)["containers"][0].update(
        stdin=True
    ),
    "capabilities is": lambda found: _spec(found)["containers"][0]["securityContext"].update(
        capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}
    ),
    "resources.limits: no translation of nvidia.com/gpu": lambda found: _spec(found)["containers"][
        0
    ]["resources"]["limits"].update({"nvidia.com/gpu": 1}),
    "startupProbe: no translation of tcpSocket": lambda found: _spec(found)["containers"][0].update(
        startupProbe={"tcpSocket": {"port": 8001}}
    ),
    "restartPolicy is not there": lambda found: _spec(found)["initContainers"][0].pop(
        "restartPolicy"
    ),
    "volumes[0]: no translation of hostPath": lambda found: _spec(found)["volumes"][0].update(
        hostPath={"path": "/"}
    ),
    "lifecycle: no translation of postStart": lambda found: _spec(found)["containers"][0][
        "lifecycle"
    ].update(postStart={}),
    "replicas is 3": lambda found: of_kind(found, "StatefulSet")[0]["spec"].update(replicas=3),
    "no translation of ports": lambda found: _service(found)["ports"][0].update(port=80),
    "spec: no translation of type": lambda found: _service(found).update(type="NodePort"),
}


@pytest.mark.parametrize("words", FAULTS)
def test_what_has_no_counterpart_is_refused_with_its_place(
    laptop: list[Manifest], words: str
) -> None:
    FAULTS[words](laptop)
    with pytest.raises(UntranslatedError) as refused:
        _read(laptop)
    assert words in str(refused.value)
