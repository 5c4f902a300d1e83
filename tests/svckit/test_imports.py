import subprocess
import sys

# Servers stay small and start fast; whatever runs a model runs in a worker's child process.
CHECK = """
import importlib, pkgutil, sys
import svckit
for module in pkgutil.walk_packages(svckit.__path__, "svckit."):
    if module.name != "svckit.workers.child":
        importlib.import_module(module.name)
heavy = {"torch", "onnx", "onnx_ir", "onnxscript", "onnxruntime"} & set(sys.modules)
sys.exit(f"imported: {sorted(heavy)}" if heavy else 0)
"""


def test_no_module_of_svckit_imports_a_machine_learning_library() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
