"""From which models samples are taken."""

from __future__ import annotations

import json

from slicer_svc.other_samples import MOST_MODELS, OtherModel, OtherSamples, most_useful


def model(name: str, *labels: str) -> OtherModel:
    return OtherModel(f"models/{name}", f"sha256:{name}", 8, (), frozenset(labels))


def test_models_with_more_classes_that_were_not_shown_before_come_first() -> None:
    models = (
        model("a", "cat", "dog"),
        model("b", "cow", "hen"),
        model("c", "cow", "hen", "owl"),
        model("d", "fish"),
    )
    chosen = most_useful(["cat", "dog"], models)
    assert [one.name for one in chosen] == ["models/c", "models/d", "models/a", "models/b"]


def test_no_more_models_are_taken_than_are_read() -> None:
    models = [model(f"m-{place:02}", "cow") for place in range(MOST_MODELS + 5)]
    models.append(model("z", "owl", "hen"))
    chosen = [one.name for one in most_useful(["cat"], models)]
    assert chosen == ["models/z", *(one.name for one in models[: MOST_MODELS - 1])]


def test_what_is_kept_of_a_choice_survives_json() -> None:
    kept = OtherSamples("sha256:0", 7, ("models/a", "models/b"), 3)
    assert OtherSamples.from_json(json.loads(json.dumps(kept.to_json()))) == kept
