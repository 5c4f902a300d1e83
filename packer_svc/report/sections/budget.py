"""What size was asked for, and what was made of it."""

from collections.abc import Mapping
from typing import Any

from packer_svc.report.figures import NOTHING, count, share, small
from packer_svc.report.markup import code, escaped, facts, paragraph, section
from packer_svc.report.tables import Column, Kind, table

SHOWN = 30

_ASKED = {
    "parameters": "of the originals’ parameters",
    "macs": "of the originals’ MACs",
    "latency_ms": "ms for one sample",
}
_TITLES = {"macs": "MACs", "latency_ms": "Time, ms"}


def budget(proof: Mapping[str, Any]) -> str:
    """Asked, before and after; nothing for a pack without a budget."""
    found = proof.get("budget")
    if not found:
        return ""
    before, after = found.get("before") or {}, found.get("after") or {}
    keys = [key for key in dict.fromkeys([*before, *after]) if _plain(before.get(key, 0))]
    columns = (Column("Measure"), Column("Before", Kind.NUMBER), Column("After", Kind.NUMBER))
    rows = [
        (escaped(_title(key)), _written(key, before.get(key)), _written(key, after.get(key)))
        for key in keys
    ]
    return section(
        "budget",
        "Budget",
        paragraph(
            "The classes were planned again together, under one budget, and sliced again, those of "
            "one model as one branch. Before "
            "is the pack of the fragments that were named; accuracy is the head’s alone, "
            "cross-validated: optimistic."
        ),
        facts([*_asked(found.get("asked") or {}), *_too_slow(found.get("too_slow") or ())]),
        table("The pack before and after", columns, rows),
        _shares(found.get("shares") or ()),
    )


def _asked(asked: Mapping[str, Any]) -> list[tuple[str, str]]:
    kind, value = asked.get("kind"), asked.get("value")
    if kind is not None and value is not None:
        unit = _ASKED.get(str(kind), str(kind))
        return [("Asked for", f"at most {escaped(value)} {escaped(unit)}")]
    return [(_title(key), escaped(one)) for key, one in asked.items()]


def _too_slow(found: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - of somebody else's making.
    """The packs that were made before this one and took too long."""
    told = [
        "{measured} ms, planned as {predicted} ms".format(
            **{key: _written(key, one.get(key)) for key in ("measured", "predicted")}
        )
        for one in found
    ]
    return [("Too slow before", "; ".join(told))] if told else []


def _shares(found: Any) -> str:  # noqa: ANN401 - of somebody else's making.
    """What each branch got of the budget, with the fragments that share it."""
    if not found:
        return ""
    keys = [key for key in dict.fromkeys(key for one in found for key in one) if key != "fragments"]
    columns = (Column("Fragments"), *(Column(_title(key), Kind.NUMBER) for key in keys))
    rows = [
        (
            " ".join(code(name) for name in one.get("fragments", ())),
            *(_written(key, one.get(key)) for key in keys),
        )
        for one in found
    ]
    return table("What each branch got", columns, rows, most=SHOWN)


def _plain(value: object) -> bool:
    return value is None or isinstance(value, int | float | str)


def _title(key: str) -> str:
    words = key.replace("_", " ")
    return _TITLES.get(key, words[:1].upper() + words[1:])


def _written(key: str, value: object) -> str:
    if value is None or isinstance(value, bool):
        return NOTHING
    if not isinstance(value, int | float):
        return escaped(value)
    if key == "accuracy":
        return share(value)
    return count(value) if isinstance(value, int) else small(value)
