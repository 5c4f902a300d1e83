"""The checks of ``marketctl doctor``."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Final

from sliceandpack.packer.v1 import deployments_pb2

from marketctl.columns import size
from marketctl.deployment_shown import state_text
from marketctl.health import channel_is_serving
from marketctl.session import Service, Session, pages
from svckit.addresses import Address
from svckit.errors import ServiceError

_DISTRIBUTION: Final = "slice-and-pack"
_TRITON_SECONDS: Final = 60.0
_CONNECT_SECONDS: Final = 2.0
_DISK_LEAST: Final = 2**30
_DISK_AMPLE: Final = 5 * 2**30
_SHARED_LEAST: Final = 64 * 2**20


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """What was looked at, and what to do about it.

    Attributes:
        name: What was looked at.
        status: How it came out.
        found: What was found.
        advice: What to do; empty where all is well.
    """

    name: str
    status: Status
    found: str
    advice: str = ""


async def checks(session: Session, triton: Path, state_dir: Path) -> AsyncIterator[Check]:
    """Yields every check as it is done.

    Args:
        session: Reaches the services.
        triton: The environment of the embedded Triton.
        state_dir: Where the services keep their state.
    """
    yield _python()
    yield _packages()
    live = await _triton(session)
    environment = await _triton_environment(triton)
    if environment.status is Status.FAIL and live.status is Status.OK:
        # A Triton that lives was started from somewhere else.
        environment = replace(environment, status=Status.WARN)
    yield environment
    for check in _space(state_dir):
        yield check
    yield await _service(session.slicer)
    yield (packer := await _service(session.packer))
    yield live
    if packer.status is Status.OK:
        yield await _deployments(session)


def _python() -> Check:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return Check("Python", Status.OK, found)
    return Check("Python", Status.FAIL, found, "Use Python 3.11 or 3.12.")


def _packages() -> Check:
    """Checks that everything is installed that the project names."""
    try:
        wanted = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return Check("Packages", Status.FAIL, "the project is not installed", "Run `make setup`.")
    names = [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in wanted if "extra ==" not in text]
    missing = [name for name in names if not _installed(name)]
    if _installed("onnxruntime-gpu"):
        if _installed("onnxruntime"):
            return Check(
                "Packages",
                Status.FAIL,
                "onnxruntime and onnxruntime-gpu are both installed",
                "Uninstall both, then install one.",
            )
        missing = [name for name in missing if name != "onnxruntime"]
    if missing:
        return Check("Packages", Status.FAIL, f"missing: {', '.join(missing)}", "Run `make setup`.")
    return Check("Packages", Status.OK, f"{len(names)} installed")


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


async def _triton_environment(folder: Path) -> Check:
    """Starts what Triton starts for each model, which finds every missing system library."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "serving.embedded",
        str(folder),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_TRITON_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        output = f"no answer within {_TRITON_SECONDS:.0f} s".encode()
    name = f"Triton in {folder}"
    if process.returncode == 0:
        return Check(name, Status.OK, "complete, and its system libraries are there")
    lines = output.decode(errors="replace").strip().splitlines() or ["it does not start"]
    advice = "Run `make setup`." if len(lines) == 1 else lines[-1]
    return Check(name, Status.FAIL, lines[0] if len(lines) > 1 else lines[-1], advice)


def _space(state_dir: Path) -> Iterator[Check]:
    """Checks the disk of the state, and the shared memory that Triton's models take."""
    folder = state_dir.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    status = Status.OK if free >= _DISK_AMPLE else Status.WARN
    if free < _DISK_LEAST:
        status = Status.FAIL
    advice = "" if status is Status.OK else "Make room, or give another --state-dir."
    yield Check(f"Disk of {folder}", status, f"{size(free)} free", advice)
    shared = Path("/dev/shm")  # noqa: S108 - where the kernel has it.
    free = shutil.disk_usage(shared).free if shared.exists() else 0
    status = Status.OK if free >= _SHARED_LEAST else Status.FAIL
    advice = "" if status is Status.OK else "Enlarge it (in a container: --shm-size=256m)."
    yield Check("Shared memory", status, f"{size(free)} free", advice)


async def _service(service: Service) -> Check:
    name = f"{service.name.capitalize()} at {service.address}"
    if not await _listens(service.address):
        return Check(name, Status.WARN, "nothing listens", _START)
    if await channel_is_serving(service.channel):
        return Check(name, Status.OK, "serves")
    return Check(
        name,
        Status.FAIL,
        "something listens, but it does not serve",
        "Look into its log; is it another program, or does one side use TLS alone?",
    )


_START: Final = "Start it: `marketctl up`, or say where it is (`marketctl --help`)."


async def _triton(session: Session) -> Check:
    from serving.client import TritonClient

    address = session.settings.triton
    name = f"Triton at {address}"
    if not await _listens(address):
        return Check(name, Status.WARN, "nothing listens", _START)
    async with TritonClient(address) as triton:
        if await triton.is_live(deadline=_CONNECT_SECONDS):
            return Check(name, Status.OK, "live")
    return Check(
        name,
        Status.FAIL,
        "something listens, but it is no live Triton",
        "Stop it, or say where Triton is with --triton.",
    )


async def _deployments(session: Session) -> Check:
    """Checks that what should serve does."""
    try:
        found: list[deployments_pb2.Deployment] = await pages(
            session.deployments.ListDeployments,
            deployments_pb2.ListDeploymentsRequest(),
            "deployments",
        )
    except ServiceError as error:
        return Check("Deployments", Status.WARN, f"unknown: {error.message}", error.advice)
    bad = [
        f"{deployment.name} is {state_text(deployment.state)}"
        for deployment in found
        if deployment.state != deployments_pb2.DEPLOYMENT_STATE_SERVING
    ]
    bad += [
        f"the canary of {deployment.name} is {state_text(deployment.canary.state)}"
        for deployment in found
        if deployment.HasField("canary")
        and deployment.canary.state != deployments_pb2.DEPLOYMENT_STATE_SERVING
    ]
    if bad:
        advice = "See why with `marketctl deployments show NAME`."
        return Check("Deployments", Status.FAIL, "; ".join(bad), advice)
    return Check("Deployments", Status.OK, f"{len(found)} serving")


async def _listens(address: str) -> bool:
    """Whether anything takes a connection there."""
    where = Address.parse(address)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(where.host, where.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    await writer.wait_closed()
    return True
