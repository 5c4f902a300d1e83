"""A class cloned from one model into another: made, deployed, asked, and taken out again."""

from __future__ import annotations

import numpy as np
import tritonclient.grpc as triton_grpc
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.packer.v1 import cloning_pb2, packs_pb2

from tests.helpers.digit_models import digit_model, unseen_digits
from tests.helpers.stocked import Stocked

BATCH = 64
"""What a deployment takes at once."""


def asked(stocked: Stocked, images: np.ndarray) -> np.ndarray:
    """What Triton answers to pictures."""
    with triton_grpc.InferenceServerClient(stocked.market.triton_grpc) as client:
        image = triton_grpc.InferInput("image", list(images.shape), "FP32")
        image.set_data_from_numpy(images)
        found: np.ndarray = client.infer("low-and-five", [image]).as_numpy("probabilities")
        return found


def test_a_cloned_class_is_served_and_taken_out_again(stocked: Stocked) -> None:
    packer = stocked.packer
    started = packer.packs.CloneClasses(
        cloning_pb2.CloneClassesRequest(
            target="models/low",
            source="models/middle",
            classes=[cloning_pb2.ClonedClass(label="five")],
            pack_id="low-and-five",
        )
    )
    made = packer.operations.result(started, packs_pb2.Pack)
    packer.deploy("low-and-five", made.name)

    digits = unseen_digits((0, 1, 2, 5))
    images, labels = digits.images[:BATCH], digits.labels[:BATCH]
    answers = asked(stocked, images)
    assert (answers.argmax(axis=1) == labels).mean() > 0.9

    fewer = packs_pb2.RemoveClassesRequest(name=made.name, labels=["five"], pack_id="low-again")
    left = packer.operations.result(packer.packs.RemoveClasses(fewer), packs_pb2.Pack)
    packer.switch("low-and-five", left.name, allow=True)
    alone = asked(stocked, images)
    own = answers[:, :3].astype(np.float64)
    assert np.abs(own / own.sum(axis=1, keepdims=True) - alone).max() < 1e-3
    stub = artifacts_pb2_grpc.ArtifactsStub(packer.channel)
    request = artifacts_pb2.ReadRequest(name=left.clone.target_graph.name)
    graph = b"".join(chunk.data for chunk in stub.Read(request))
    assert graph == digit_model((0, 1, 2)).graph
