"""How much of what is asked goes to a deployment's canary, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sliceandpack.packer.v1 import deployments_pb2, packs_pb2

from marketctl.columns import count, share, small
from marketctl.session import Session
from svckit.clients.patience import answer

if TYPE_CHECKING:
    from serving.canary import Tally


async def pack_of(session: Session, name: str) -> packs_pb2.Pack:
    """Returns a pack.

    Args:
        session: The session.
        name: Its full name.

    Raises:
        ServiceError: It is gone, or the packer does not answer.
    """
    return await answer(session.packs.GetPack(packs_pb2.GetPackRequest(name=name)))


async def share_of_canary(
    session: Session,
    deployment: deployments_pb2.Deployment,
    pack: packs_pb2.Pack,
    wanted: float | None,
) -> float:
    """Returns the share of requests that a canary gets: none where it is asked in another way.

    Args:
        session: The session.
        deployment: The deployment.
        pack: Its pack.
        wanted: What the command line says; None for what the deployment says.

    Raises:
        ServiceError: The packer does not answer.
    """
    canary = deployment.canary
    found = canary.share if wanted is None else wanted
    if not deployment.HasField("canary") or found == 0:
        if wanted:
            session.printer.warn(f"{deployment.name} has no canary to ask.")
        return 0.0
    other = await pack_of(session, canary.pack)
    same = (
        list(other.inputs) == list(pack.inputs)
        and list(other.labels) == list(pack.labels)
        and other.options.none_of_these == pack.options.none_of_these
    )
    if not same:
        session.printer.warn(
            f"{canary.pack} has other inputs, outputs or labels than {deployment.pack}: it is not "
            f"asked. Name {canary.model} to Triton to ask it."
        )
    return found if same else 0.0


def tally_text(tally: Tally) -> str:
    """Returns what a client saw of a canary, in a line.

    Args:
        tally: What came of its calls.
    """
    canary, deployment = tally.canary, tally.deployment
    text = f"Of the canary: {count(canary.answered)} of {count(canary.answered + canary.failed)}"
    text += " requests answered"
    if canary.answered and deployment.answered:
        ours, theirs = (calls.seconds / calls.answered for calls in (canary, deployment))
        text += f", {1e3 * ours:.1f} ms each beside {1e3 * theirs:.1f} ms"
    if tally.compared:
        text += (
            f"; the same class on {share(tally.same_class / tally.compared)} of "
            f"{count(tally.compared)} samples, largest difference "
            f"{small(tally.max_absolute_difference)}"
        )
    return text + "."
