"""What the pack is: classes, fragments, origins, licences, inputs, digests."""

from collections.abc import Mapping
from typing import Any

from packer_svc.report.figures import plural
from packer_svc.report.markup import code, escaped, facts, folded, named, section, subsection
from packer_svc.report.tables import Column, table

SHOWN = 25
LABELS = 60
"""Labels that are listed in a line; the table has them all."""


def contents(manifest: Mapping[str, Any]) -> str:
    """Everything that the pack was made of."""
    labels, fragments = manifest["classes"], manifest["fragments"]
    models = dict.fromkeys(_model(one["fragment"]) for one in fragments)
    licences = dict.fromkeys(one["licence"] for one in fragments if one["licence"])
    graph = manifest["graph"]
    unlicensed = sum(not one["licence"] for one in fragments)
    columns = (Column("Class"), Column("Fragment"), Column("Licence"))
    digests = (Column("Fragment"), Column("Graph"), Column("Samples of its model"))
    return section(
        "contents",
        "What it is made of",
        facts(
            [
                ("Classes", f"{len(labels):,}: {_listed(labels)}"),
                ("Fragments", f"{len(fragments):,}, of {plural(len(models), 'model')}"),
                ("Licences", _licences(list(licences), unlicensed)),
                ("Head", _head(manifest)),
                ("Precision", escaped(manifest.get("precision", ""))),
                ("Inputs", "<br>".join(_input(one) for one in manifest["inputs"])),
                ("Graph", f"{code(graph['digest'])}<br>{graph['bytes']:,} bytes"),
                ("Smoke test", code(manifest["smoke_test"]["digest"])),
            ]
        ),
        subsection(
            "Fragments",
            table(
                "Fragments in the pack’s order",
                columns,
                [_fragment(one) for one in fragments],
                most=SHOWN,
            ),
            folded(
                "Digests of graphs and samples",
                table("Digests", digests, [_digests(one) for one in fragments]),
            ),
        ),
    )


def _listed(labels: list[str]) -> str:
    shown = ", ".join(named(label) for label in labels[:LABELS])
    return shown if len(labels) <= LABELS else f"{shown} and {len(labels) - LABELS:,} more"


def _licences(licences: list[str], unlicensed: int) -> str:
    told = ", ".join(named(licence) for licence in licences)
    if not unlicensed:
        return told
    missing = f"{plural(unlicensed, 'fragment')} without a licence"
    return f"{told}; {missing}" if told else missing


def _fragment(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        named(one["label"]),
        code(one["fragment"]),
        named(one["licence"]) if one["licence"] else "none given",
    )


def _digests(one: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(code(one[key]) for key in ("fragment", "graph_digest", "samples_digest"))


def _head(manifest: Mapping[str, Any]) -> str:
    head = manifest["head"]["report"]
    kinds = {"closed_form": "closed form (shrinkage LDA)", "paper": "the paper’s, trained"}
    reads = {"features": "features", "scores": "class scores", "both": "features and class scores"}
    told = escaped(kinds.get(head["kind"], head["kind"]))
    return f"{told}, reads {escaped(reads.get(head['inputs'], head['inputs']))}"


def _input(given: Mapping[str, Any]) -> str:
    shape = " × ".join(str(one) for one in given["shape"])
    told = f"{code(given['name'])} {escaped(given['element_type'])} {escaped(shape)}"
    return f"{told}, {_meaning(given)}"


def _meaning(given: Mapping[str, Any]) -> str:
    image, text = given.get("image"), given.get("text")
    if image:
        order = "channels last" if image["channels_last"] else "channels first"
        values = f"values from {image['minimum']:g} to {image['maximum']:g}"
        return f"pictures, {order}, {values}{_normalisation(image)}"
    if text:
        return f"text, {plural(text['vocabulary_size'], 'token')} in the vocabulary"
    return "plain numbers"


def _normalisation(image: Mapping[str, Any]) -> str:
    """How a client has to normalise what it sends; where it need not, nothing."""
    lists = {"mean": image["mean"], "standard deviation": image["deviation"]}
    told = [f"{name} {', '.join(f'{one:g}' for one in found)}" for name, found in lists.items()]
    given = [one for one, found in zip(told, lists.values(), strict=True) if found]
    return f"; then normalised with {' and '.join(given)}" if given else ""


def _model(fragment: str) -> str:
    return fragment.partition("/fragments/")[0]
