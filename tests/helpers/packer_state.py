"""Packs that lie in a packer's state folder before it starts, for tests that only serve them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packer_svc.app import MIGRATIONS
from packer_svc.store.tables import PackFragmentRow, PackRow
from svckit.artifacts.digests import Artifact
from svckit.artifacts.folder import FolderArtifactStore
from svckit.artifacts.references import ArtifactReferences
from svckit.database import open_database, upgrade

OLD_ROLES = ("graph", "manifest", "proof", "smoke")
"""Of a pack that was made before there were reports."""

ROLES = (*OLD_ROLES, "report")


async def stock_packs(
    state: Path,
    packs: Mapping[str, Sequence[str]],
    summaries: Mapping[str, dict[str, Any]] | None = None,
    roles: Sequence[str] = ROLES,
    files: Mapping[str, Mapping[str, bytes]] | None = None,
) -> None:
    """Keeps packs with these labels, of bytes that nobody runs unless they are given.

    Args:
        state: The state folder of a packer that does not run, an absolute path.
        packs: Labels by the pack's id.
        summaries: What their proofs say, by the pack's id; nothing where left out.
        roles: The artifacts that they have, each a JSON text.
        files: Artifacts that are another thing, by the pack's id and the role.
    """
    database = open_database(f"sqlite+aiosqlite:///{state / 'service.db'}")
    store = FolderArtifactStore(state / "artifacts")
    references = ArtifactReferences(store)
    try:
        await upgrade(database, MIGRATIONS)
        for pack_id, labels in packs.items():
            texts = {role: f'["{pack_id}", "{role}"]'.encode() for role in roles}
            given = {**texts, **(files or {}).get(pack_id, {})}
            kept = {role: await store.put(data) for role, data in given.items()}
            async with database.writing() as session:
                row = _row(pack_id, labels, kept)
                row.proof_summary = (summaries or {}).get(pack_id, {})
                session.add(row)
                for role, artifact in kept.items():
                    await references.add(session, f"packs/{pack_id}", role, artifact.digest)
    finally:
        await database.close()


def _row(pack_id: str, labels: Sequence[str], kept: Mapping[str, Artifact]) -> PackRow:
    artifacts: dict[str, Any] = {}
    for role, artifact in kept.items():
        artifacts[f"{role}_digest"] = artifact.digest
        artifacts[f"{role}_size"] = artifact.size_bytes
    return PackRow(
        id=pack_id,
        operation="operations/stocked",
        display_name="",
        head={"kind": "HEAD_KIND_CLOSED_FORM"},
        labels=list(labels),
        inputs=[{"name": "x", "elementType": "ELEMENT_TYPE_FLOAT32", "shape": ["4"]}],
        parameters=10,
        macs=10,
        ensemble_parameters=40,
        ensemble_macs=40,
        create_time=datetime.now(UTC),
        fragments=[
            PackFragmentRow(
                place=place,
                fragment=f"models/m{place}/fragments/f",
                label=label,
                graph_digest=kept["graph"].digest,
                samples_digest=kept["proof"].digest,
                licence="MIT",
                source_class=0,
                model_classes=2,
                model_feature_width=4,
                model_parameters=20,
                model_macs=20,
            )
            for place, label in enumerate(labels)
        ],
        **artifacts,
    )
