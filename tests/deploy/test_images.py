"""What an image is, before anything of it runs for long."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers.containers import ROOT, docker, ended, image

pytestmark = [pytest.mark.container, pytest.mark.timeout(300)]

SERVERS = {"slicer": "slicer_svc", "packer": "packer_svc", "reconciler": "serving.reconciler"}
ALL = (*SERVERS, "triton-embedded")
MOST_BYTES = 1.5e9
# Every module of ours that the image's process or its workers may come to import.
IMPORT_ALL = """
import importlib, pkgutil, sys
for package in sys.argv[1:]:
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, f"{package}."):
        if not module.name.endswith(("__main__", ".migrations.env", "embedded.backend.model")):
            importlib.import_module(module.name)
"""


def inspected(name: str) -> dict[str, Any]:
    (found,) = json.loads(docker("image", "inspect", image(name)).stdout)
    return dict(found)


@pytest.mark.parametrize("name", ALL)
def test_an_image_is_small_and_says_what_it_is(name: str) -> None:
    found = inspected(name)
    labels = found["Config"]["Labels"]
    assert found["Size"] < MOST_BYTES
    assert labels["org.opencontainers.image.title"] == f"slice-and-pack-{name}"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    for key in ("version", "revision", "created", "description"):
        assert labels[f"org.opencontainers.image.{key}"]


@pytest.mark.parametrize("name", ALL)
def test_a_service_is_the_first_process_and_has_no_rights(name: str) -> None:
    config = inspected(name)["Config"]
    assert config["User"] == "10001:10001"
    # A shell in between would keep SIGTERM to itself.
    assert config["Entrypoint"][0] in {"python3", "tritonserver"}
    assert "CMD" in config["Healthcheck"]["Test"]


@pytest.mark.parametrize("name", ALL)
def test_an_image_has_no_tools_to_build_with(name: str) -> None:
    tools = "pip gcc cc make ld git curl wget"
    look = f"for tool in {tools}; do command -v $tool && exit 1; done; ! python3 -m pip --version"
    assert ended(name, "--entrypoint", "sh", "--", "-c", look)[0] == 0


@pytest.mark.parametrize(
    ("name", "packages"),
    [
        ("slicer", ("slicer_svc", "svckit", "onnxgraph", "specification")),
        ("packer", ("packer_svc", "svckit", "onnxgraph")),
        ("reconciler", ("serving",)),
    ],
)
def test_every_module_finds_what_it_imports(name: str, packages: tuple[str, ...]) -> None:
    entry = ("--entrypoint", "python3", "--", "-P", "-c", IMPORT_ALL)
    assert ended(name, *entry, *packages) == (0, "")


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_not_open_to_others_by_oversight(name: str) -> None:
    code, log = ended(name)
    assert code == 2
    assert "can be reached from other machines without TLS" in log


@pytest.mark.parametrize("name", ["slicer", "packer"])
def test_a_gpu_that_was_asked_for_in_vain_is_a_failure_to_start(name: str) -> None:
    variables = (f"{name.upper()}_INSECURE=true", f"{name.upper()}_DEVICE=cuda")
    code, log = ended(name, *(part for each in variables for part in ("--env", each)))
    assert code == 3
    assert "asked for is cuda, but " in log
    assert "or set device to cpu" in log


@pytest.mark.parametrize("name", SERVERS)
def test_a_volume_that_belongs_to_somebody_else_is_named(name: str) -> None:
    options = ["--tmpfs", "/var/lib/slice-and-pack:mode=0755"]
    for setting in ("INSECURE=true", "PACKER__ADDRESS=127.0.0.1:1", "TRITON_ADDRESS=127.0.0.1:1"):
        if name == "reconciler" or setting == "INSECURE=true":
            options += ["--env", f"{name.upper()}_{setting}"]
    code, log = ended(name, *options)
    assert code == 3
    assert "Cannot write to /var/lib/slice-and-pack (Permission denied)" in log
    assert "let it belong to the user of this process (10001)" in log


def test_nvidias_triton_is_left_with_the_one_backend_that_packs_need() -> None:
    # The embedded one keeps its backends in the same folder, and has a second one, too.
    base, made = image("triton-embedded"), "localhost/triton-alone:test"
    assert _backends(base) == ["onnxruntime", "python"]
    file = ROOT / "deploy" / "docker" / "triton.Dockerfile"
    options = ("--quiet", "--network", "none", "--build-arg", f"TRITON={base}", "--tag", made)
    docker("build", *options, "--file", str(file), str(file.parent))
    try:
        assert _backends(made) == ["onnxruntime"]
    finally:
        docker("image", "rm", made)


def _backends(name: str) -> list[str]:
    found = docker("run", "--rm", "--entrypoint", "ls", name, "/opt/tritonserver/backends")
    return found.stdout.split()
