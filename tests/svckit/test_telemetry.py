import re
from pathlib import Path

from svckit.telemetry import Metrics

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\|", re.MULTILINE)


def test_the_page_of_metrics_lists_every_metric_with_its_type() -> None:
    families = Metrics().registry.collect()
    declared = {
        (f"{family.name}_total" if family.type == "counter" else family.name, family.type)
        for family in families
    }
    assert declared == {(name, kind) for name, kind, _ in ROW.findall(PAGE.read_text())}


def test_the_page_of_metrics_lists_the_labels_of_each() -> None:
    metrics = Metrics()
    for name, _, labels in ROW.findall(PAGE.read_text()):
        attribute = name.removeprefix("sliceandpack_").removesuffix("_total")
        names = re.findall(r"`(\w+)`", labels)
        metric = getattr(metrics, attribute)
        # It raises unless these are exactly its labels.
        series = metric.labels(**dict.fromkeys(names, "x")) if names else metric
        assert any(sample.name.startswith(name) for sample in series.collect()[0].samples)
