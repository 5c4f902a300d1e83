"""Generates the Python code of the contracts, checks them with buf, and checks for drift.

Usage: ``python protos/generate.py`` writes ``protos/gen``; ``--check`` compares instead and exits
with 1 where the committed code differs; ``--image FILE`` writes a descriptor set for buf, with
``--source DIR`` of other contracts than these.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

import google.longrunning
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
GENERATED = ROOT / "gen" / "sliceandpack"


def main() -> int:
    """Runs the command line.

    Returns:
        The exit code: 1 where ``--check`` found a difference or protoc failed.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare with the committed code")
    parser.add_argument("--image", type=Path, help="write a descriptor set instead")
    parser.add_argument("--source", type=Path, default=ROOT, help="the folder of the contracts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        include = longrunning_include(Path(scratch) / "include")
        if arguments.image:
            return write_image(include, arguments.source, arguments.image)
        output = Path(scratch) / "gen"
        output.mkdir()
        code = generate(include, output)
        if code:
            return code
        if arguments.check:
            return report_drift(output / "sliceandpack")
        if GENERATED.exists():
            shutil.rmtree(GENERATED)
        shutil.copytree(output / "sliceandpack", GENERATED)
    return 0


def longrunning_include(folder: Path) -> Path:
    """Copies operations.proto under the name that its descriptor is registered by.

    The wheel of googleapis-common-protos ships it as ``operations_proto.proto``, while its
    generated module registers ``google/longrunning/operations.proto``.
    """
    target = folder / "google" / "longrunning"
    target.mkdir(parents=True)
    source = Path(next(iter(google.longrunning.__path__))) / "operations_proto.proto"
    shutil.copyfile(source, target / "operations.proto")
    return folder


def include_flags(include: Path, source: Path = ROOT) -> list[str]:
    """Returns protoc's include flags: ours, the renamed one, googleapis', protobuf's own."""
    googleapis = Path(next(iter(google.longrunning.__path__))).parents[1]
    bundled = resources.files("grpc_tools") / "_proto"
    return [f"-I{source}", f"-I{include}", f"-I{googleapis}", f"-I{bundled}"]


def contracts(source: Path = ROOT) -> list[str]:
    """Returns the contracts' files, relative to their folder."""
    return sorted(str(path.relative_to(source)) for path in source.glob("sliceandpack/**/*.proto"))


def generate(include: Path, output: Path) -> int:
    """Runs protoc with the Python, gRPC and mypy plugins.

    Returns:
        protoc's exit code.
    """
    plugins = Path(sys.executable).parent
    code = protoc.main(
        [
            "protoc",
            *include_flags(include),
            f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
            f"--python_out={output}",
            f"--grpc_python_out={output}",
            f"--mypy_out=quiet:{output}",
            f"--mypy_grpc_out=quiet:{output}",
            *contracts(),
        ]
    )
    for folder in sorted({path.parent for path in output.rglob("*.py")}):
        for package in (folder, *folder.parents):
            if package == output:
                break
            (package / "__init__.py").touch()
            (package / "__init__.pyi").touch()
    # What it says to type checkers of those who install it: the code has types.
    (output / "sliceandpack" / "py.typed").touch()
    remove_idle_service_files(output)
    return int(code)


def remove_idle_service_files(output: Path) -> None:
    """Removes ``*_pb2_grpc`` files of contracts that hold no service."""
    for path in output.rglob("*_pb2_grpc.py"):
        if "Servicer" not in path.read_text():
            path.unlink()
            path.with_suffix(".pyi").unlink(missing_ok=True)


def write_image(include: Path, source: Path, image: Path) -> int:
    """Writes a descriptor set with imports and comments, as buf reads it.

    Returns:
        protoc's exit code.
    """
    command = [sys.executable, "-m", "grpc_tools.protoc", *include_flags(include, source)]
    command += ["--include_imports", "--include_source_info", f"--descriptor_set_out={image}"]
    return subprocess.run([*command, *contracts(source)], check=False).returncode  # noqa: S603


def report_drift(fresh: Path) -> int:
    """Compares fresh code with the committed code and names the files that differ.

    Returns:
        1 if any file differs, else 0.
    """
    names, kept = files_of(fresh), files_of(GENERATED)
    _, different, missing = filecmp.cmpfiles(fresh, GENERATED, sorted(names), shallow=False)
    drifted = sorted({*different, *missing, *(kept - names)})
    for name in drifted:
        sys.stderr.write(
            f"protos/gen/sliceandpack/{name} is not what the contracts give: run `make proto`\n"
        )
    return 1 if drifted else 0


def files_of(folder: Path) -> set[str]:
    """Returns the files of a folder, relative to it, without what Python compiled."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


if __name__ == "__main__":
    sys.exit(main())
