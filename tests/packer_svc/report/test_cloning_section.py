"""The section on cloning."""

from __future__ import annotations

from packer_svc.report.sections.cloning import cloning

CLONE = {
    "target": "models/pets",
    "target_graph": "sha256:12",
    "added_parameters": 1234,
    "classes": [{"label": "<b>", "pack_label": "<b>"}],
    "source": "models/boats",
    "locator": "fragments",
    "position": "relu_2",
    "tried": [
        {"position": "relu_2", "accuracy": 0.9, "log_loss": 0.25},
        {"position": "inputs", "accuracy": 0.85, "log_loss": 0.5},
    ],
}


def test_a_pack_of_fragments_has_no_section_on_cloning() -> None:
    assert cloning({}) == ""


def test_the_section_tells_both_models_and_every_position_tried() -> None:
    text = cloning({"clone": CLONE})
    for wanted in ("models/pets", "models/boats", "1,234", "relu_2", "0.250", "0.500", "&lt;b&gt;"):
        assert wanted in text
    assert "<b>" not in text
    assert "beside the whole target" in text


def test_a_clone_without_cloned_classes_says_so() -> None:
    bare = {key: CLONE[key] for key in ("target", "target_graph", "added_parameters")}
    assert "No cloned class is left." in cloning({"clone": {**bare, "classes": []}})
