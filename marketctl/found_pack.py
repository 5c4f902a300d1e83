"""Goes on with what a search found: slices the classes, packs them, and has the pack served."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Final

from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.packer.v1 import deployments_pb2, packs_pb2
from sliceandpack.slicer.v1 import models_pb2, plans_pb2
from sliceandpack.slicer.v1 import search_pb2 as pb

from marketctl.columns import last
from marketctl.deployment_shown import print_deployment
from marketctl.names import full_name
from marketctl.pack_shown import print_pack
from marketctl.planning import planned
from marketctl.session import Session
from svckit.clients.patience import answer
from svckit.errors import AlreadyExists, NotFound

_UNPACKED: Final = "No pack was made yet: the same command goes on from what is there by then."


async def refuse_taken(session: Session, pack_id: str, deployment_id: str | None) -> None:
    """Refuses names that are taken, before anything is sliced.

    Args:
        session: Reaches the packer.
        pack_id: The pack's name.
        deployment_id: The deployment's name, if there is to be one.

    Raises:
        AlreadyExists: RESOURCE_EXISTS.
    """
    pack = full_name("packs", pack_id)
    await _refuse(
        session.packs.GetPack(packs_pb2.GetPackRequest(name=pack)),
        pack,
        f"Give another name, or serve it: `marketctl deployments create NAME --pack {pack}`.",
    )
    if deployment_id is not None:
        name = full_name("deployments", deployment_id)
        request = deployments_pb2.GetDeploymentRequest(name=name)
        await _refuse(
            session.deployments.GetDeployment(request),
            name,
            "Give another name; a deployment is switched to a pack with `deployments switch`.",
        )


async def _refuse(call: Awaitable[object], name: str, advice: str) -> None:
    try:
        await answer(call)
    except NotFound:
        return
    raise AlreadyExists(
        reasons.ERROR_REASON_RESOURCE_EXISTS,
        f"{name} exists already.",
        advice=advice,
        metadata={"resource": name},
    )


async def pack_found(
    session: Session,
    found: pb.SearchClassesResponse,
    pack_id: str,
    deployment_id: str | None,
) -> packs_pb2.Pack:
    """Slices what was found for each class and joins it; prints the pack to a person.

    Args:
        session: Reaches the services.
        found: For each class one that fits.
        pack_id: The pack's name.
        deployment_id: What it is to be served as, if at all.

    Raises:
        ServiceError: A step failed.
    """
    chosen = {one.label: one.found[0] for one in found.classes}
    fragments = await _sliced(session, chosen)
    parts = [
        packs_pb2.PackFragment(fragment=fragments[one.model, one.model_label], label=label)
        for label, one in chosen.items()
    ]
    request = packs_pb2.CreatePackRequest(
        pack_id=full_name("packs", pack_id).removeprefix("packs/"),
        pack=packs_pb2.Pack(fragments=parts),
    )
    title = f"Packing {last(request.pack_id)}"
    call = session.packs.CreatePack(request)
    then = ""
    if deployment_id is not None:
        names = f"{last(deployment_id)} --pack {last(request.pack_id)}"
        then = f"It is not served yet. Once it is made: marketctl deployments create {names}"
    pack = await session.result(session.packer, call, packs_pb2.Pack, title, then)
    if session.printer.is_table:
        session.printer.line("")
        print_pack(session, pack)
    return pack


async def deploy_pack(
    session: Session, pack: packs_pb2.Pack, deployment_id: str
) -> deployments_pb2.Deployment:
    """Has a pack served; prints the deployment to a person.

    Args:
        session: Reaches the packer.
        pack: The pack.
        deployment_id: The name that clients call.

    Raises:
        ServiceError: It failed.
    """
    name = full_name("deployments", deployment_id)
    request = deployments_pb2.CreateDeploymentRequest(
        deployment=deployments_pb2.Deployment(pack=pack.name),
        deployment_id=name.removeprefix("deployments/"),
    )
    call = session.deployments.CreateDeployment(request)
    title = f"Deploying {last(name)}"
    deployment = await session.result(session.packer, call, deployments_pb2.Deployment, title)
    if session.printer.is_table:
        session.printer.line("")
        print_deployment(session, deployment)
    return deployment


async def _sliced(
    session: Session, chosen: Mapping[str, pb.FoundClass]
) -> Mapping[tuple[str, str], str]:
    """Slices by the default recipe, all classes of a model at once.

    Returns:
        The names of the fragments by model and label.
    """
    labels: dict[str, list[str]] = {}
    for one in chosen.values():
        labels.setdefault(one.model, []).append(one.model_label)
    fragments: dict[tuple[str, str], str] = {}
    for model, wanted in labels.items():
        plan = await planned(session, model, plans_pb2.Recipe(), _UNPACKED)
        request = models_pb2.SliceModelRequest(name=model, plan=plan.name, labels=wanted)
        call = session.models.SliceModel(request)
        title = f"Slicing {last(model)}"
        kind = models_pb2.SliceModelResponse
        response = await session.result(session.slicer, call, kind, title, _UNPACKED)
        for fragment in response.fragments:
            fragments[model, fragment.label] = fragment.name
    return fragments
