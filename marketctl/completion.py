"""Shell completion of resource names: one quick call, and nothing where it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import typer
from sliceandpack.packer.v1 import deployments_pb2, packs_pb2
from sliceandpack.slicer.v1 import models_pb2

from marketctl.output import Printer
from marketctl.session import Session
from marketctl.settings import Format, Settings
from svckit.clients.patience import answer
from svckit.errors import ServiceError

_SECONDS = 1.0
_NAMES = 100
_REACHING = ("slicer", "packer", "tls_ca", "tls_certificate", "tls_key", "insecure")


def model_names(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the models that a half-typed word may mean."""
    return _names(context, incomplete, _models, "models/")


def fragment_names(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the fragments that a half-typed word may mean."""
    return _names(context, incomplete, _fragments, "")


def pack_names(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the packs that a half-typed word may mean."""
    return _names(context, incomplete, _packs, "packs/")


def deployment_names(context: typer.Context, incomplete: str) -> list[str]:
    """Returns the deployments that a half-typed word may mean."""
    return _names(context, incomplete, _deployments, "deployments/")


def _names(
    context: typer.Context,
    incomplete: str,
    fetch: Callable[[Session], Awaitable[list[Any]]],
    prefix: str,
) -> list[str]:
    """Returns full names where one was begun, else short ones."""
    settings = _settings(context)

    async def ask() -> list[Any]:
        async with Session(settings, Printer(Format.TABLE, quiet=True)) as session:
            return await fetch(session)

    try:
        found = [str(item.name) for item in asyncio.run(ask())]
    except (ServiceError, ValueError, OSError):
        return []  # A shell that completes nothing says enough; an error would spoil the line.
    short = prefix and not incomplete.startswith(prefix)
    names = [name.removeprefix(prefix) for name in found] if short else found
    return [name for name in names if name.startswith(incomplete)]


def _settings(context: typer.Context) -> Settings:
    """Returns the settings of the half-typed line, with little patience."""
    given = context.find_root().params
    kept = {name: given[name] for name in _REACHING if given.get(name)}
    return Settings(timeout=_SECONDS, **kept)


async def _models(session: Session) -> list[Any]:
    request = models_pb2.ListModelsRequest(page_size=_NAMES)
    return list((await answer(session.models.ListModels(request))).models)


async def _fragments(session: Session) -> list[Any]:
    request = models_pb2.ListFragmentsRequest(parent="models/-")
    return list((await answer(session.models.ListFragments(request))).fragments)


async def _packs(session: Session) -> list[Any]:
    request = packs_pb2.ListPacksRequest(page_size=_NAMES)
    return list((await answer(session.packs.ListPacks(request))).packs)


async def _deployments(session: Session) -> list[Any]:
    request = deployments_pb2.ListDeploymentsRequest(page_size=_NAMES)
    return list((await answer(session.deployments.ListDeployments(request))).deployments)
