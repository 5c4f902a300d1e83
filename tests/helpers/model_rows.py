"""Rows of models."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from slicer_svc.store.tables import ModelRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def model_row(name: str, **changes: Any) -> ModelRow:
    """The row of a model whose files are all its own, with some columns changed."""
    columns: dict[str, Any] = {
        "id": name,
        "operation": f"operations/{name}",
        "display_name": "",
        "licence": "",
        "graph_digest": digest("graph" + name),
        "graph_size": 1,
        "samples_digest": digest("samples" + name),
        "samples_size": 1,
        "normalised_digest": digest("normalised" + name),
        "normalised_size": 1,
        "labels": [f"class of {name}"],
        "inputs": [],
        "sample_accuracy": 1.0,
        "sample_count": 7,
        "parameters": 1,
        "macs": 1,
        "unit_group_count": 1,
        "feature_width": 1,
        "revision": 1,
        "create_time": NOW,
        "update_time": NOW,
    }
    return ModelRow(**columns | changes)


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
