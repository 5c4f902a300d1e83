"""The section on a reassembled network."""

from __future__ import annotations

from packer_svc.report.sections.network import network

BLOCK = {
    "model": "models/pets",
    "licence": "MIT",
    "firstValue": "image",
    "lastValue": "relu_2",
    "parameters": 1234,
    "stitchParameters": 0,
}
NETWORK = {
    "blocks": [BLOCK, {**BLOCK, "model": "models/boats", "licence": "", "stitchParameters": 99}],
    "models": 2,
    "score": -1.25,
    "gap": 0.0,
    "judged": 8,
    "kept": 3,
    "leftOut": [{"model": "models/gone", "reason": "RESOURCE_NOT_FOUND", "message": "<lost>"}],
    "leftOutCount": 1,
}


def test_a_pack_of_fragments_has_no_section_on_a_network() -> None:
    assert network({}) == ""


def test_the_section_tells_every_block_and_every_model_left_out() -> None:
    text = network({"reassembly": NETWORK})
    for wanted in ("models/pets", "models/boats", "1,234", "99", "proven", "-1.250", "none given"):
        assert wanted in text
    for wanted in ("1 model<", "models/gone", "RESOURCE_NOT_FOUND", "&lt;lost&gt;"):
        assert wanted in text


def test_a_network_for_which_no_model_was_left_out_says_nothing_of_that() -> None:
    bare = {**NETWORK, "leftOut": [], "leftOutCount": 0, "gap": 0.02}
    text = network({"reassembly": bare})
    assert "Left out" not in text
    assert "2.0 %" in text
