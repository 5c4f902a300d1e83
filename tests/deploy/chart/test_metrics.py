"""Rules and dashboard say what they should, of metrics that the processes really have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from sliceandpack.operation.v1 import operation_events_pb2
from sliceandpack.packer.v1 import deployments_pb2

from serving.client import TritonClient
from serving.reconciler.keeper import Standing
from serving.repository import ModelRepository
from svckit.operations.tables import OperationState
from svckit.telemetry import Metrics
from tests.helpers.chart.parts import of_kind
from tests.helpers.chart.rendering import CHART, ROOT, TOOLS, manifests
from tests.helpers.triton import add_classifier, running_triton, samples

pytestmark = pytest.mark.chart

_METRIC = re.compile(r"\b(?:sliceandpack|nv)_[a-z0-9_]+")
_LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"")
_LABEL_IN_TEXT = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")
_VALUES = {
    "job": {"slicer", "packer", "triton"},
    "code": {code.name for code in StatusCode},
    "state": {
        *(standing.value for standing in Standing),
        *(state.value for state in OperationState),
    },
    "reason": {"CANCELED", "REJECTED", "BACKEND", "OTHER"},
}
"""What labels are compared with; `reason` is Triton's."""
_METHODS = {
    method.name
    for file in (deployments_pb2, operation_events_pb2, health_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
_PROMETHEUS_OWN = {"namespace", "pod", "job", "instance", "app_kubernetes_io_instance", "le"}


@pytest.fixture(scope="module")
def rules(rendered: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules of a release as Prometheus reads them."""
    (rule,) = of_kind(manifests(rendered["everything"]), "PrometheusRule")
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(rule["spec"]))
    return path


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What our processes and a real Triton that answered a request show to Prometheus."""
    ours = [
        f"{sample.name}{{{','.join(sample.labels)}}}"
        for family in _touched().registry.collect()
        for sample in family.samples
    ]
    root = tmp_path_factory.mktemp("triton")
    repository = ModelRepository(root)
    with repository.opened(), running_triton(root) as running:
        add_classifier(repository, "model", 1, seed=1)
        repository.activate("model", (1,))

        async def serve() -> None:
            triton = running.triton
            async with TritonClient(triton.grpc_address, secret=triton.secret) as client:
                await client.load("model")
                await client.infer("model", {"x": samples()})

        running.call(serve())
        with urlopen(f"http://127.0.0.1:{running.triton.ports.metrics}/metrics") as answer:
            return "\n".join([*ours, answer.read().decode()])


def test_prometheus_takes_the_rules(rules: Path) -> None:
    _promtool("check", "rules", str(rules))


def test_every_alarm_rings_when_it_should_and_only_then(rules: Path) -> None:
    cases = rules.parent / "cases.yaml"
    shutil.copy(Path(__file__).with_name("rules_test.yaml"), cases)
    _promtool("test", "rules", str(cases))


def test_every_alarm_has_a_case_that_rings() -> None:
    rules = yaml.safe_load((CHART / "files/rules.yaml").read_text())
    alarms = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    cases = yaml.safe_load(Path(__file__).with_name("rules_test.yaml").read_text())
    rung = {
        each["alertname"]
        for case in cases["tests"]
        for each in case["alert_rule_test"]
        if each.get("exp_alerts")
    }
    assert rung == alarms


def test_the_runbook_has_what_alarms_refer_to() -> None:
    rules = yaml.safe_load((CHART / "files/rules.yaml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(), re.MULTILINE)
        anchors = {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}
        assert not anchor or anchor in anchors, rule["alert"]


@pytest.mark.parametrize("file", ["rules.yaml", "dashboard.json"])
def test_rules_and_dashboard_use_metrics_and_labels_that_exist(file: str, exposed: str) -> None:
    names = set()
    for expression, texts in _used(file):
        metrics = set(_METRIC.findall(expression))
        names |= metrics
        labels = set(_PROMETHEUS_OWN)
        for name in metrics:
            shown = re.findall(rf"^{name}(?:\{{(.*?)\}}|\b)", exposed, re.MULTILINE)
            assert shown, f"{name} is no metric"
            labels.update(re.findall(r"(\w+)(?==|,|$)", ",".join(shown)))
        assert _labels(expression) <= labels, f"{expression}: {_labels(expression) - labels}"
        grouped = set(re.findall(r"\w+", " ".join(re.findall(r"\bby \(([^)]*)\)", expression))))
        for label in _LABEL_IN_TEXT.findall(texts):
            assert label in (grouped or labels), f"{texts}: {expression} has no {label}"
    assert len(names) >= 6


@pytest.mark.parametrize("file", ["rules.yaml", "dashboard.json"])
def test_rules_and_dashboard_compare_labels_with_values_that_occur(file: str) -> None:
    compared = re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', "\n".join(_expressions(file)))
    for label, values in compared:
        if label == "method":
            assert set(re.findall(r"\w+", values)) <= _METHODS
        elif label in _VALUES:
            assert set(values.split("|")) <= _VALUES[label], f"{label} is never {values}"
        else:
            assert values in {"RELEASE", "NAMESPACE", "$release", "$namespace"}, label


@pytest.mark.parametrize("file", ["rules.yaml", "dashboard.json"])
def test_rules_and_dashboard_look_at_one_release_alone(file: str) -> None:
    for expression in _expressions(file):
        chosen = re.findall(r"\b(?:up|(?:sliceandpack|nv)_[a-z0-9_]+)\s*(\{[^}]*\})?", expression)
        assert chosen
        for labels in chosen:
            assert {"app_kubernetes_io_instance", "namespace"} <= set(_LABEL.findall(labels))


def test_the_dashboard_shows_every_metric_of_ours() -> None:
    shown = "\n".join(_expressions("dashboard.json"))
    for family in _touched().registry.collect():
        assert family.name in shown, family.name


def _expressions(file: str) -> list[str]:
    return [expression for expression, _ in _used(file)]


def _labels(expression: str) -> set[str]:
    """Labels that are compared or grouped by."""
    found = set(_LABEL.findall(expression))
    for group in re.findall(r"\b(?:by|without|on|ignoring) \(([^)]*)\)", expression):
        found.update(word.strip() for word in group.split(","))
    return found


def _used(file: str) -> Iterator[tuple[str, str]]:
    """Yields each expression, with the text that its labels are put into."""
    path = CHART / "files" / file
    if file == "rules.yaml":
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield rule["expr"], rule["annotations"]["summary"]
    else:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield target["expr"], target.get("legendFormat", "")


def _touched() -> Metrics:
    """Metrics with a sample of each, so that all of their labels are shown."""
    metrics = Metrics()
    metrics.rpc_seconds.labels(method="/s/M", code="OK").observe(1)
    metrics.operations.labels(kind="K", state="QUEUED").set(1)
    metrics.operation_seconds.labels(kind="K", state="SUCCEEDED").observe(1)
    metrics.queue_depth.labels(queue="workers").set(1)
    metrics.worker_deaths.labels(cause="memory").inc()
    metrics.deployment_ready.labels(state="ready").set(1)
    metrics.execution_provider.labels(library="torch", provider="cpu").set(1)
    return metrics


def _promtool(*arguments: str) -> None:
    tool = TOOLS / "promtool"
    if not tool.exists():
        pytest.skip("promtool is missing: apt-get install prometheus, then remove .chart")
    ended = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
