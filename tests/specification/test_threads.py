"""Specifications are made and compared in the thread of whoever asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEAST_SECONDS = 1e-3
"""What threads that only wait to be needed may take."""

CODE = """
import os
import time
from pathlib import Path

import numpy as np

from specification.index import Index
from tests.specification.pictures import specified

def seconds_of_others():
    tasks = [one for one in Path("/proc/self/task").iterdir() if one.name != str(os.getpid())]
    return sum(int((one / "schedstat").read_text().split()[0]) for one in tasks) * 1e-9

np.ones((500, 500)) @ np.ones((500, 500))
# They turn in circles for a while before they sleep.
time.sleep(0.5)
before = seconds_of_others()
market = specified(("rows", "columns", "reds"), 1)
index = Index((str(place), market) for place in range(20))
index.models(specified(("rows", "reds"), 2, model=False))
index.classes(specified(("rows", "reds"), 2, model=False))
print(before > 0, seconds_of_others() - before)
"""


def test_nothing_is_computed_in_other_threads() -> None:
    told = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    told["OMP_NUM_THREADS"] = "2"
    ended = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=told, check=True, capture_output=True, text=True
    )
    there, seconds = ended.stdout.split()
    assert there == "True"
    assert float(seconds) < LEAST_SECONDS
