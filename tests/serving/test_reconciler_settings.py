"""What a reconciler refuses to start with."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from serving.reconciler.settings import ReconcilerSettings


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "either embedded or triton_address"),
        ({"embedded": True, "triton_address": "127.0.0.1:8001"}, "either embedded or"),
        ({"embedded": True, "instance_kind": "KIND_GPU"}, "must be KIND_CPU"),
        ({"triton_address": "triton.example:8001"}, "another machine"),
        ({"triton_address": "8001"}, "not an address"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ReconcilerSettings(**given)


def test_a_triton_on_another_machine_must_be_asked_for() -> None:
    address = "triton.example:8001"
    settings = ReconcilerSettings(triton_address=address, insecure=True)
    assert settings.triton_address == address
