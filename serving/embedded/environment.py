"""Where the embedded Triton's parts lie: a virtual environment of its own, usually `.triton/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serving.errors import TritonSetupError


@dataclass(frozen=True)
class TritonEnvironment:
    """A virtual environment with `nvidia-pytriton` and `onnxruntime`.

    Attributes:
        root: The environment's folder.
        python_version: Its Python, "major.minor"; the stub is built for exactly one.
        site_packages: Where its packages lie.
        library_folders: Folders that the dynamic loader must search, in order.
    """

    root: Path
    python_version: str
    site_packages: Path
    library_folders: tuple[Path, ...]

    @property
    def server(self) -> Path:
        """The `tritonserver` binary."""
        return self.site_packages / "pytriton/tritonserver/bin/tritonserver"

    @property
    def python_backend(self) -> Path:
        """The folder with the Python backend's library and its Python module."""
        return self.site_packages / "pytriton/tritonserver/backends/python"

    @property
    def stub(self) -> Path:
        """The process that Triton starts for each instance of a Python-based model."""
        stubs = self.site_packages / "pytriton/tritonserver/python_backend_stubs"
        return stubs / self.python_version / "triton_python_backend_stub"

    def variables(self) -> dict[str, str]:
        """The whole process environment of the server; nothing is inherited.

        The stub takes the first `python3` on PATH, and through it the packages.
        """
        return {
            "PATH": f"{self.root / 'bin'}:/usr/bin:/bin",
            "LD_LIBRARY_PATH": ":".join(str(folder) for folder in self.library_folders),
            "ORT_DISABLE_TELEMETRY": "1",
        }


def locate(root: Path) -> TritonEnvironment:
    """Finds the parts of the embedded Triton in a virtual environment.

    Args:
        root: The environment's folder.

    Returns:
        Where everything lies.

    Raises:
        TritonSetupError: The folder is no virtual environment, or lacks a part.
    """
    root = root.absolute()
    settings = root / "pyvenv.cfg"
    folders = sorted((root / "lib").glob("python3.*/site-packages"))
    if not settings.is_file() or len(folders) != 1:
        raise TritonSetupError(
            f"{root} is no virtual environment with Triton in it",
            advice="Run `make setup`, which makes it, or point the setting at an existing one.",
        )
    site_packages = folders[0]
    environment = TritonEnvironment(
        root=root,
        python_version=site_packages.parent.name.removeprefix("python"),
        site_packages=site_packages,
        library_folders=(site_packages / "nvidia_pytriton.libs", *_libpython_folder(settings)),
    )
    parts = (environment.server, environment.python_backend, environment.stub)
    missing = [part for part in (*parts, site_packages / "onnxruntime") if not part.exists()]
    if missing:
        raise TritonSetupError(
            f"the Triton environment lacks {missing[0]}",
            advice="Remove the folder and run `make setup` with a Python from 3.8 to 3.13.",
        )
    return environment


def _libpython_folder(settings: Path) -> tuple[Path, ...]:
    """The `lib` beside the interpreter that made the environment, where it has a libpython.

    Pythons built by hand keep their libpython there, out of the loader's sight; a distribution's
    lies on the loader's own path.
    """
    for line in settings.read_text().splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "home":
            folder = Path(value.strip()).parent / "lib"
            return (folder,) if any(folder.glob("libpython3.*.so.*")) else ()
    return ()
