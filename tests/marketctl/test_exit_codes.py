import subprocess
import sys

import grpc
import pytest

from marketctl.exit_codes import ExitCode, exit_code_of


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.NOT_FOUND, 3),
        (grpc.StatusCode.INVALID_ARGUMENT, 4),
        (grpc.StatusCode.OUT_OF_RANGE, 4),
        (grpc.StatusCode.ALREADY_EXISTS, 5),
        (grpc.StatusCode.FAILED_PRECONDITION, 5),
        (grpc.StatusCode.ABORTED, 5),
        (grpc.StatusCode.UNAVAILABLE, 6),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 6),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 7),
        (grpc.StatusCode.CANCELLED, 8),
        (grpc.StatusCode.DATA_LOSS, 9),
        (grpc.StatusCode.INTERNAL, 1),
        (grpc.StatusCode.PERMISSION_DENIED, 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(code: grpc.StatusCode, expected: int) -> None:
    assert exit_code_of(code) == expected


def test_no_error_ends_as_a_success() -> None:
    assert ExitCode.OK not in {exit_code_of(code) for code in grpc.StatusCode}


def test_ctrl_c_while_the_program_is_still_loading_leaves_no_traceback() -> None:
    code = """
import sys
class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "marketctl.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Impatient())
from marketctl.__main__ import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (ExitCode.INTERRUPTED, b"")
