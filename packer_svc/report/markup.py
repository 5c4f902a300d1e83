"""Text and elements of the page; whatever comes from outside goes through here."""

import html
import unicodedata
from collections.abc import Sequence

Row = Sequence[str]


# These turn the direction of all that follows; a name keeps its own by <bdi>.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def escaped(text: object) -> str:
    """Text that a browser takes for nothing else, without what controls terminals or direction."""
    return html.escape(
        "".join(
            "�" if letter in _TURNING or unicodedata.category(letter) in ("Cc", "Cs") else letter
            for letter in str(text)
        )
    )


def named(text: object) -> str:
    """A name that somebody gave, in whatever direction it is written."""
    return f"<bdi>{escaped(text)}</bdi>"


def brief(text: object) -> str:
    """A name that may be long: three lines of it, the rest where the pointer rests."""
    return f'<bdi class="brief" title="{escaped(text)}">{escaped(text)}</bdi>'


def code(text: object) -> str:
    """A name or digest that is to be copied."""
    return f"<code>{escaped(text)}</code>"


def paragraph(content: str, kind: str = "") -> str:
    """A paragraph of HTML."""
    return f'<p class="{kind}">{content}</p>' if kind else f"<p>{content}</p>"


def section(anchor: str, title: str, *parts: str) -> str:
    """A section of the page; nothing where it has no content."""
    content = "\n".join(part for part in parts if part)
    if not content:
        return ""
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n'
        f'<h2 id="{anchor}-title">{escaped(title)}</h2>\n{content}\n</section>'
    )


def subsection(title: str, *parts: str) -> str:
    """A part of a section; nothing where it has no content."""
    content = "\n".join(part for part in parts if part)
    return f'<div class="part">\n<h3>{escaped(title)}</h3>\n{content}\n</div>' if content else ""


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """A list of titles and what stands beside them, those without content left out."""
    told = "".join(
        f"<div><dt>{escaped(title)}</dt><dd>{content}</dd></div>"
        for title, content in pairs
        if content
    )
    return f"<dl>{told}</dl>"


def folded(summary: str, content: str) -> str:
    """Content that is shown when it is asked for."""
    return f"<details><summary>{escaped(summary)}</summary>\n{content}\n</details>"


def beside(*parts: str) -> str:
    """Parts side by side where there is room."""
    return f'<div class="beside">\n{chr(10).join(parts)}\n</div>'


def figure(picture: str, caption: str) -> str:
    """A picture with what it shows."""
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"
