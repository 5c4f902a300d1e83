"""``marketctl packs report`` against a packer in a process of its own."""

from __future__ import annotations

import asyncio
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.command_line import Ended, marketctl
from tests.helpers.packer_state import OLD_ROLES, stock_packs
from tests.helpers.processes import ServiceProcess

PAGE = '["harbour", "report"]'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packer")


@pytest.fixture(scope="module")
def packer(folder: Path) -> Iterator[str]:
    """A packer with two packs, and one that was made before there were reports."""
    packs = {"harbour": ("cat", "ship"), "altered": ("cat", "lion")}
    asyncio.run(stock_packs(folder / "state", packs))
    asyncio.run(stock_packs(folder / "state", {"old": ("cat", "ship")}, roles=OLD_ROLES))
    with ServiceProcess("packer_svc", folder).running() as process:
        yield process.address


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def report(packer: str, *arguments: object) -> Ended:
    return marketctl("--packer", packer, "packs", "report", *arguments)


def test_the_page_is_written_under_the_packs_name(packer: str, tmp_path: Path) -> None:
    ended = report(packer, "harbour")
    assert ended.code == 0, ended.err
    assert ended.out == "harbour.html (21 B)\n"
    assert (tmp_path / "harbour.html").read_text() == PAGE


@pytest.mark.parametrize("option", ["--out", "--to"])
def test_the_page_is_written_where_it_is_wanted(packer: str, tmp_path: Path, option: str) -> None:
    assert report(packer, "packs/harbour", option, tmp_path / "page.htm").code == 0
    assert (tmp_path / "page.htm").read_text() == PAGE
    missing = report(packer, "harbour", option, tmp_path / "missing" / "page.htm")
    assert missing.code == 2


def test_other_content_is_replaced_only_by_force(packer: str, tmp_path: Path) -> None:
    path = tmp_path / "harbour.html"
    path.write_text("mine")
    refused = report(packer, "harbour")
    assert refused.code == 5
    assert path.read_text() == "mine"
    assert report(packer, "harbour", "--force").code == 0
    assert path.read_text() == PAGE
    again = report(packer, "harbour")
    assert "is there already, and whole" in again.err


def test_as_data_the_proof_is_printed_and_nothing_written(packer: str, tmp_path: Path) -> None:
    assert report(packer, "harbour", "-o", "json").data == ["harbour", "proof"]
    assert report(packer, "harbour", "-o", "yaml").out == "- harbour\n- proof\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [("--out", "page.html"), ("--open",), ("--force",)])
def test_a_page_and_data_are_not_asked_for_together(
    packer: str, tmp_path: Path, option: tuple[str, ...]
) -> None:
    assert report(packer, "harbour", "-o", "json", *option).code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_pack_without_a_report_says_where_its_proof_is(packer: str, tmp_path: Path) -> None:
    refused = report(packer, "old")
    assert refused.code == 5
    assert "packs download old --part proof" in " ".join(refused.err.split())
    assert list(tmp_path.iterdir()) == []
    assert report(packer, "old", "-o", "json").data == ["old", "proof"]


@pytest.mark.parametrize(("part", "options"), [("report", ()), ("proof", ("-o", "json"))])
def test_what_was_altered_is_called_damaged_also_after_the_packer_put_it_aside(
    packer: str, folder: Path, tmp_path: Path, part: str, options: tuple[str, ...]
) -> None:
    found = marketctl("--packer", packer, "packs", "show", "altered", "-o", "json").data
    digits = found[part]["name"].removeprefix("artifacts/sha256:")
    path = folder / "state" / "artifacts" / "objects" / digits[:2] / digits
    path.write_bytes(path.read_bytes().replace(b"altered", b"ALTERED"))
    for _ in range(2):
        refused = report(packer, "altered", *options)
        assert refused.code == 9
        assert "DIGEST_MISMATCH" in refused.err
    assert not path.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_pack_that_is_not_there_is_told(packer: str) -> None:
    assert report(packer, "nothing").code == 3


@pytest.mark.parametrize("found", [True, False])
def test_the_page_is_shown_in_the_browser_if_there_is_one(
    packer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: bool
) -> None:
    shown: list[str] = []

    class Browser(webbrowser.BaseBrowser):
        def open(self, url: str, *_: object, **__: object) -> bool:
            shown.append(url)
            return found

    monkeypatch.setattr(webbrowser, "_tryorder", ["tests"])
    monkeypatch.setattr(webbrowser, "_browsers", {"tests": [None, Browser()]})
    ended = report(packer, "harbour", "--open")
    assert ended.code == 0
    assert shown == [(tmp_path / "harbour.html").as_uri()]
    assert ("No browser was found" in ended.err) is not found
