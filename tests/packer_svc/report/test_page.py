"""The report as a page: what it says, what it never does."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from packer_svc.report.page import page
from packer_svc.report.title import Title
from tests.helpers import papers

LABELS = ("cat", "dog", "deer")
VOID = {"meta", "link", "br", "line", "rect", "circle", "path", "polygon", "polyline"}
NASTY = (
    '<script>alert("1")</script>',
    "'\"><img src=x onerror=alert(1)>",
    "قطة منزلية",
    "\u202egnp.tac",
    "東京タワー",
    "a\x00b\x1b[31m",
    "x" * 256,
)


class Read(HTMLParser):
    """A page as a browser sees it: its text, and what it asks for."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)
        if {"th", "td"} & set(self.open) and "svg" not in self.open:
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def read(
    labels: tuple[str, ...] = LABELS, title: Title | None = None, **changed: Any
) -> tuple[Read, str]:
    content = page(
        papers.proof(len(labels), **changed),
        papers.manifest(labels),
        title or Title("packs/harbour"),
    )
    found = Read(content)
    assert found.open == []
    return found, content


def test_the_verdict_comes_first_and_says_what_it_means() -> None:
    found, _ = read()
    start = found.text[: found.text.index("of the parameters")]
    assert "✓ Passed." in start
    assert "its 3 fragments and its head" in start
    assert "in 9 comparisons on 126 inputs no probability differs by more than 7.0·10⁻⁸" in start
    assert "optimistic" in start


def test_a_proof_that_failed_says_so_and_names_the_comparison() -> None:
    cases = [
        papers.parity_case("optimised", "samples", 7, 1e-7),
        papers.parity_case("plain", "extreme", 7, 0.03, passed=False),
    ]
    found, _ = read(passed=False, cases=cases, max_abs=0.03)
    assert "✗ Not passed." in found.text
    assert "✓ Passed." not in found.text
    assert "1 of 2 comparisons" in found.text
    assert "must not be deployed" in found.text
    [failed] = [row for row in found.rows if "✗ no" in row]
    assert failed[:5] == ["node by node", "extreme", "7", "14", "0.03"]


def test_probabilities_that_are_not_finite_are_drawn_and_told() -> None:
    cases = [papers.parity_case("plain", "random", 7, float("inf"), passed=False)]
    found, content = read(passed=False, cases=cases, max_abs=float("inf"))
    assert "some are not finite numbers" in found.text
    assert "nan%" not in content
    assert 'class="bad" cx="100.00%"' in content


def test_the_page_asks_nobody_for_anything_and_runs_nothing() -> None:
    found, content = read(NASTY, Title("packs/x", NASTY[0]))
    policy = next(a["content"] for t, a in found.tags if a.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    for tag, attributes in found.tags:
        assert tag not in {"script", "iframe", "object", "embed", "form", "img", "base"}
        assert not [name for name in attributes if name.startswith("on")]
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith(("#", "data:,"))
    assert "url(" not in content
    assert "@import" not in content
    assert "://" not in content


def test_names_of_users_are_text_and_nothing_else() -> None:
    found, content = read(NASTY, Title("packs/x", '<b>&"'))
    assert '<script>alert("1")</script>' in found.text
    assert "<script>" not in content
    assert '<b>&"' in found.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", content)
    # Whole somewhere, even where it is too long for a line; and in its own direction.
    assert NASTY[-1] in found.text
    assert "<bdi>قطة منزلية</bdi>" in content


@pytest.mark.parametrize(
    ("key", "made", "title"),
    [
        ("none_of_these", papers.none_of_these(), "None of these"),
        ("budget", papers.budget(), "Budget"),
        ("precision", papers.precision_check(), "Precision"),
    ],
)
def test_what_is_optional_has_its_section_only_where_it_is_there(
    key: str, made: dict[str, Any], title: str
) -> None:
    without, _ = read()
    changed: dict[str, Any] = {key: made}
    found, _ = read(**changed)
    anchor = title.lower().replace(" ", "-")
    assert anchor not in {attributes.get("id") for _, attributes in without.tags}
    assert anchor in {attributes.get("id") for _, attributes in found.tags}
    assert f"#{anchor}" in {attributes.get("href") for _, attributes in found.tags}


def test_a_curve_is_drawn_and_read_off() -> None:
    found, content = read(none_of_these=papers.none_of_these())
    assert "0.931" in found.text
    assert '<polyline class="curve"' in content
    assert ["2.0 %", "55.6 %"] in found.rows


def test_a_budget_tells_before_and_after() -> None:
    found, _ = read(budget=papers.budget())
    assert "at most 0.25 of the originals’ MACs" in found.text
    assert ["Parameters", "3,000,000", "1,459,253"] in found.rows
    assert ["Accuracy", "93.0 %", "91.2 %"] in found.rows
    assert ["models/pets/fragments/f-1 models/pets/fragments/f-2", "0.3", "800,000", "0.02"] in (
        found.rows
    )


def test_packs_that_were_too_slow_for_an_order_are_told() -> None:
    slow = papers.budget() | {
        "asked": {"kind": "latency_ms", "value": 3.0},
        "too_slow": [{"predicted": 3.0, "measured": 4.5}],
    }
    found, _ = read(budget=slow)
    assert "at most 3.0 ms for one sample" in found.text
    assert "4.5 ms, planned as 3 ms" in found.text


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("evaluation_samples", "Evaluation samples"),
        ("sliced_anew", "Cross-validated, sliced anew"),
        ("head_alone", "Head alone, cross-validated"),
    ],
)
def test_the_most_telling_accuracy_stands_first_by_its_name(kind: str, title: str) -> None:
    found, _ = read(evaluation=papers.evaluation(3, kind))
    named = [row[0] for row in found.rows if row[0] in NAMES]
    assert named[0] == title
    assert named[-1] == "In-sample"
    assert len(named) == len(set(named))
    assert "10.4 %" in found.text
    opening = found.text.partition(f"{title}. ")[2].partition("Measured on")[0]
    assert ("optimistic" in opening) is (kind == "head_alone")


NAMES = {
    "Evaluation samples",
    "Cross-validated, sliced anew",
    "Head alone, cross-validated",
    "In-sample",
}


def test_without_cross_validation_the_page_says_in_sample() -> None:
    counts = [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    given = {"kind": "in_sample", "optimistic": True, "counts": counts, "recall": [1.0, 1.0, 0.0]}
    found, _ = read(
        confusion=given, cross_validation=None, reliability=None, in_sample_accuracy=2 / 3
    )
    assert [row[0] for row in found.rows if row[0] in NAMES] == ["In-sample"]
    assert "in-sample: says little" in found.text
    assert "Can its probabilities be trusted?" not in found.text
    assert ["deer", "dog", "1", "100.0 %"] in found.rows


def test_plots_have_their_figures_beside_them() -> None:
    found, _ = read()
    assert ["cat", "16", "1", "3"] in found.rows
    assert ["40 to 50 %", "4", "46.0 %", "50.0 %", "+4.0"] in found.rows
    assert ["Parameters", "1,459,253", "11,046,683", "0.13", ""] in found.rows
    for tag, attributes in found.tags:
        if tag == "svg":
            assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true"
    heads = [attributes for tag, attributes in found.tags if tag == "th"]
    assert all(attributes.get("scope") in ("row", "col") for attributes in heads)


def test_inputs_are_told_by_what_they_mean() -> None:
    text = {"vocabulary_digest": papers.DIGEST, "vocabulary_size": 9_000, "padding_id": 0}
    words = {"name": "words", "shape": [40], "element_type": "int64", "text": text}
    plain = {"name": "rows", "shape": [], "element_type": "float32", "tensor": {}}
    given = papers.manifest(LABELS, inputs=[papers.image(), words, plain])
    found = Read(page(papers.proof(3), given, Title("packs/fed")))
    assert "float32 3 × 32 × 32, pictures, channels first, values from -2 to 2" in found.text
    assert "then normalised" not in found.text
    assert "int64 40, text, 9,000 tokens in the vocabulary" in found.text
    assert "plain numbers" in found.text


def test_a_picture_is_told_with_the_normalisation_that_clients_owe_it() -> None:
    fed = papers.image()
    fed["image"] |= {"minimum": 0, "maximum": 1, "mean": [0.5, 0.4, 0.3], "deviation": [0.25]}
    found = Read(page(papers.proof(3), papers.manifest(LABELS, inputs=[fed]), Title("packs/fed")))
    assert (
        "values from 0 to 1; then normalised with mean 0.5, 0.4, 0.3 and standard deviation 0.25"
        in found.text
    )


def test_the_layout_is_told_with_the_times_that_it_rests_on() -> None:
    layer = {
        "first": "fragment0.conv1",
        "members": 3,
        "layout": "block_diagonal",
        "seconds": {"separate": {"1": 0.002, "8": 0.009}, "block_diagonal": {"1": 0.001}},
    }
    chosen = {
        "chosen": "separate",
        "regret": {"1": 1.062, "8": 1.0, "32": 1.01},
        "bound": 1.05,
        "beyond_bound": {"1": 1.062},
        "run_times": {"separate": {"1": 0.001, "8": 0.004}},
        "layers": [layer],
    }
    found = Read(page(papers.proof(3), papers.manifest(LABELS, layout=chosen), Title("packs/laid")))
    assert ["separate", "1 ms", "4 ms", "✓ chosen"] in found.rows
    assert ["fragment0.conv1", "3", "2 ms", "1 ms", "block diagonal"] in found.rows
    assert "1.062 at 1, 1.000 at 8, 1.010 at 32" in found.text
    assert "More than 1.05 is lost at 1." in found.text


def test_originals_stand_beside_the_pack_and_those_left_out_say_why() -> None:
    gone = papers.original("models/gone", "The model is gone.")
    ensemble = papers.proof(3)["ensemble"] | {"run_time": None}
    found, _ = read(originals=[papers.original("models/pets"), gone], ensemble=ensemble)
    [pets] = [row for row in found.rows if row[0] == "models/pets"]
    assert pets[1:] == ["3,680,931", "78,742,272", "14.0 MiB", "2.5 ms", "12 ms", "1.25"]
    [left_out] = [row for row in found.rows if row[0] == "models/gone"]
    assert left_out[4:] == ["–", "–", "–"]
    assert "The model is gone." in found.text
    assert "not all of them could be timed" in found.text


def test_a_proof_from_before_these_figures_makes_a_page_too() -> None:
    given = papers.proof(3)
    for key in ("confusion", "reliability", "originals", "processor"):
        del given[key]
    given["ensemble"] = None
    found = Read(page(given, papers.manifest(LABELS, layout=None), Title("packs/old")))
    assert "✓ Passed." in found.text
    assert "Which classes are taken for which" not in found.text


@pytest.mark.parametrize("classes", [2, 24, 25, 100, 101, 1000])
def test_many_classes_make_a_page_that_a_browser_can_bear(classes: int) -> None:
    labels = tuple(f"class {place}" for place in range(classes))
    found, content = read(labels)
    assert len(content) < 70_000 + 1_800 * classes
    recalls = [row for row in found.rows if len(row) == 6 and row[0] in labels]
    assert {row[0] for row in recalls} == set(labels)
    drawn = content.count('class="grain"')
    assert drawn == (classes > 24)
    if classes > 24:
        shown = [float(row[2].removesuffix(" %")) for row in recalls]
        assert shown == sorted(shown)
