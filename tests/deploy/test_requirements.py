"""What images are made of agrees with what the project says."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from tests.helpers.containers import ROOT

DOCKER = ROOT / "deploy" / "docker"


def names(lines: list[str]) -> set[str]:
    """The distributions that requirement lines name, without versions and extras."""
    wanted = [line for line in lines if line and not line.startswith("#")]
    return {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in wanted}


@pytest.mark.parametrize("file", ["services", "cpu", "reconciler"])
def test_an_image_needs_nothing_that_the_project_does_not_name(file: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = names((DOCKER / "requirements" / f"{file}.txt").read_text().splitlines())
    assert needed
    assert needed <= names(project["dependencies"])


def test_the_cuda_image_has_the_onnxruntime_of_the_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = names((DOCKER / "requirements" / "cuda.txt").read_text().splitlines())
    assert needed == names(project["optional-dependencies"]["gpu"])


def test_the_base_is_the_same_wherever_it_is_named() -> None:
    named = dict(
        line.split("=", 1)
        for line in (DOCKER / "base.env").read_text().splitlines()
        if not line.startswith("#")
    )
    assert f"ARG BASE={named['BASE']}\n" in (DOCKER / "Dockerfile").read_text()
    assert re.fullmatch(r"(sha256:[0-9a-f]{64})?", named["BASE_DIGEST"])


def test_nvidias_triton_is_the_same_wherever_it_is_named() -> None:
    values = yaml.safe_load((ROOT / "deploy/helm/slice-and-pack/values.yaml").read_text())
    tag = values["images"]["triton"]["tag"]
    assert f"TRITON_TAG ?= {tag}\n" in (DOCKER / "images.mk").read_text()
    file = (DOCKER / "triton.Dockerfile").read_text()
    assert f"ARG TRITON=nvcr.io/nvidia/tritonserver:{tag}\n" in file
