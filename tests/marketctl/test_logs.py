from __future__ import annotations

import json
from pathlib import Path

import pytest

from marketctl.logs import LogTail, error_text, last_errors


def entry(level: str, event: str, **more: str) -> str:
    return json.dumps({"process": "slicer", "event": event, "level": level, **more})


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (entry("info", "serving"), ""),
        (entry("warning", "slow"), ""),
        (entry("error", "cannot start", problem="port taken"), "cannot start: port taken"),
        (
            entry("error", "failed", exception="Traceback\n  File x\nValueError: no"),
            "failed: ValueError: no",
        ),
        ("I1121 18:00:00.123456 1 server.cc:1] all is well", ""),
        (
            "E1121 18:00:00.123456 1 server.cc:1] no port",
            "E1121 18:00:00.123456 1 server.cc:1] no port",
        ),
        ("Segmentation fault", "Segmentation fault"),
    ],
)
def test_a_person_sees_errors_and_what_no_library_marked(line: str, text: str) -> None:
    assert error_text(line) == text


def test_a_tail_tells_of_tritons_restarts_too(tmp_path: Path) -> None:
    log = tmp_path / "reconciler.log"
    tail = LogTail(log)
    lines = [entry("warning", "triton_died"), entry("info", "triton_restarted"), "[]", "{}"]
    log.write_text("\n".join(lines) + "\n")
    died, again, *_ = tail.news()
    assert "Triton died" in died
    assert "started again" in again


def test_a_tail_tells_each_error_once(tmp_path: Path) -> None:
    log = tmp_path / "slicer.log"
    log.write_text(entry("error", "old") + "\n")
    tail = LogTail(log)
    with log.open("a") as stream:
        stream.write(entry("info", "fine") + "\n" + entry("error", "new") + "\n")
    assert tail.news() == ["new"]
    assert tail.news() == []


def test_a_half_written_line_waits_for_its_end(tmp_path: Path) -> None:
    log = tmp_path / "slicer.log"
    tail = LogTail(log)
    line = entry("error", "torn")
    log.write_text(line[:10])
    assert tail.news() == []
    with log.open("a") as stream:
        stream.write(line[10:] + "\n")
    assert tail.news() == ["torn"]


def test_a_flood_of_errors_is_cut_short(tmp_path: Path) -> None:
    log = tmp_path / "slicer.log"
    tail = LogTail(log)
    log.write_text("".join(entry("error", f"e{number}") + "\n" for number in range(100)))
    lines = tail.news()
    assert len(lines) == 21
    assert "80 more lines" in lines[-1]


def test_the_last_errors_of_a_start_leave_earlier_ones_out(tmp_path: Path) -> None:
    log = tmp_path / "slicer.log"
    log.write_text(entry("error", "yesterday") + "\n")
    begin = log.stat().st_size
    with log.open("a") as stream:
        stream.write(entry("error", "today") + "\n")
    assert last_errors(log, begin) == ["today"]
