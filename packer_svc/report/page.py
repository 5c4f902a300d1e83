"""The page: what a proof says, the verdict first.

It is one file with its style and its plots in it; it runs no script and asks nobody for anything,
which its own policy also forbids.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packer_svc.report.markup import code, escaped, named, paragraph
from packer_svc.report.sections.accuracy import accuracy
from packer_svc.report.sections.budget import budget
from packer_svc.report.sections.cloning import cloning
from packer_svc.report.sections.contents import contents
from packer_svc.report.sections.cost import cost
from packer_svc.report.sections.network import network
from packer_svc.report.sections.none_of_these import none_of_these
from packer_svc.report.sections.parity import parity
from packer_svc.report.sections.precision import precision
from packer_svc.report.sections.provenance import provenance
from packer_svc.report.sections.verdict import verdict
from packer_svc.report.title import Title

STYLE = Path(__file__).with_name("style.css")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"

_LINKS = {
    "accuracy": "Accuracy",
    "none-of-these": "None of these",
    "parity": "Parity",
    "cost": "Size and speed",
    "budget": "Budget",
    "precision": "Precision",
    "cloning": "Cloning",
    "network": "Network",
    "contents": "What it is made of",
    "provenance": "How this was measured",
}


def page(proof: Mapping[str, Any], manifest: Mapping[str, Any], title: Title) -> str:
    """A pack's report as HTML.

    Args:
        proof: The proof as JSON. What is optional in it has its section only where it is there.
        manifest: The manifest as JSON.
        title: What stands above the report.
    """
    sections = {
        "accuracy": accuracy(proof, manifest),
        "none-of-these": none_of_these(proof),
        "parity": parity(proof),
        "cost": cost(proof, manifest),
        "budget": budget(proof),
        "precision": precision(proof),
        "cloning": cloning(proof),
        "network": network(manifest),
        "contents": contents(manifest),
        "provenance": provenance(proof, manifest),
    }
    there = {anchor: content for anchor, content in sections.items() if content}
    links = "".join(f'<a href="#{anchor}">{_LINKS[anchor]}</a>' for anchor in there)
    body = "\n".join(
        [
            f"<header>\n{_heading(title)}\n{verdict(proof, manifest)}\n</header>",
            f'<nav aria-label="Sections">{links}</nav>',
            f"<main>\n{chr(10).join(there.values())}\n</main>",
            f"<footer>{_foot(proof)}</footer>",
        ]
    )
    return _document(f"{title.shown} – proof of a pack", body)


def _heading(title: Title) -> str:
    made = f" · {escaped(_moment(title.made))}" if title.made else ""
    above = f"Proof of a pack · {code(title.name)}{made}"
    return f'<p class="above">{above}</p>\n<h1>{named(title.shown)}</h1>'


def _moment(made: str) -> str:
    """A moment as people read it; the seconds do not matter."""
    day, _, time = made.partition("T")
    return f"{day} {time[:5]} UTC" if time else made


def _foot(proof: Mapping[str, Any]) -> str:
    return paragraph(
        f"The proof is of the graph {code(proof['pack_digest'])} and of no other. All figures of "
        "this page, and more digits of them, stand in the pack’s proof as JSON."
    )


def _document(title: str, body: str) -> str:
    style = STYLE.read_text("utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escaped(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
