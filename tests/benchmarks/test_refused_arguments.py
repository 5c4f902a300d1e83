"""What benchmarks refuse of their command lines, before anything is read or trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks import trunks
from benchmarks.evaluation import __main__ as evaluation
from benchmarks.layouts import __main__ as layouts
from benchmarks.none_of_these import __main__ as none_of_these
from benchmarks.pack import __main__ as pack
from benchmarks.serve import __main__ as serve
from benchmarks.sizing import __main__ as sizing

Main = Callable[[Sequence[str]], int]
TRUNKS = ("--task", "T1", "--arch", "vgg16", "--k", "20")


@pytest.mark.parametrize(
    ("main", "given", "told"),
    [
        (none_of_these.main, ("--tasks", "T1,T9"), "'T9' is none of T1, T4"),
        (none_of_these.main, ("--tasks", ""), "'' is none of"),
        (none_of_these.main, ("--per-class", "many"), "'many'"),
        (none_of_these.main, ("--width", "nan"), "nan is not above 0, or not finite"),
        (pack.main, ("--tasks", "T2"), "'T2' is none of T1, T6, T7"),
        (pack.main, ("--seed", "-1"), "-1 is below 0"),
        (pack.main, ("--budget-macs", "1.5"), "1.5 is not above 0 and at most 1"),
        (serve.main, ("--budgets", "0.2,zero"), "'0.2,zero'"),
        (serve.main, ("--clients", "0"), "0 is not above 0"),
        (layouts.main, ("--architectures", "vgg19"), "'vgg19' is none of vgg16-25"),
        (layouts.main, ("--branches", "3,,10"), "'3,,10'"),
        (evaluation.main, ("--evaluation-samples", "4"), "4 are fewer than the classes, 5"),
        (sizing.main, ("--origins", "vgg19:1 vgg16:1 vgg16:1"), "'vgg19' is none of vgg16"),
        (sizing.main, ("--origins", "vgg16:0.5"), "3 origins"),
        (sizing.main, ("--origins", "vgg16 vgg16 vgg16"), "could not convert"),
        (sizing.main, ("--targets", "0,1 2,12"), "'2,12'"),
        (sizing.main, ("--targets", "1,1"), "'1,1'"),
        (sizing.main, ("--targets", " "), "name at least one"),
        (sizing.main, ("--budgets", "bytes:0.25"), "'bytes' is none of macs, parameters"),
        (sizing.main, ("--budgets", "macs:25"), "25 is not above 0 and at most 1"),
        (sizing.main, ("--seeds", "0,x"), "'0,x'"),
        (trunks.main, (*TRUNKS, "--classes", "2,a"), "'2,a'"),
        (trunks.main, (*TRUNKS, "--joint", "2"), "2 is not above 0 and at most 1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    main: Main,
    given: Sequence[str],
    told: str,
) -> None:
    data = () if main is layouts.main else ("--data", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main([*data, "--out", str(tmp_path), *given])

    assert ended.value.code == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert f"error: argument {given[-2]}: " in last
    assert told in last
