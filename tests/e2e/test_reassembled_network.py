"""From submitted models to a served network of their blocks."""

from __future__ import annotations

import tritonclient.grpc as triton_grpc
from sliceandpack.packer.v1 import packs_pb2, reassembly_pb2

from tests.helpers.digit_models import unseen_digits
from tests.helpers.stocked import Stocked

WANTED = (("low", "zero"), ("middle", "three"), ("high", "six"))


def test_a_network_of_the_markets_blocks_is_served_within_its_budget(stocked: Stocked) -> None:
    request = reassembly_pb2.ReassembleModelRequest(
        pack_id="reassembled-walk",
        classes=[
            reassembly_pb2.WantedClass(model=f"models/{model}", label=label)
            for model, label in WANTED
        ],
        blocks=3,
        budget=reassembly_pb2.ReassemblyBudget(parameters=0.6),
    )
    started = stocked.packer.packs.ReassembleModel(request)
    pack = stocked.packer.operations.result(started, packs_pb2.Pack)
    stocked.packer.deploy("reassembled-walk", pack.name)

    digits = unseen_digits((0, 3, 6))
    images = digits.images[:60]
    with triton_grpc.InferenceServerClient(stocked.market.triton_grpc) as client:
        tensor = triton_grpc.InferInput("image", list(images.shape), "FP32")
        tensor.set_data_from_numpy(images)
        answer = client.infer("reassembled-walk", [tensor]).as_numpy("probabilities")
    assert float((answer.argmax(1) == digits.labels[:60]).mean()) >= 0.9
    assert pack.parameters <= 0.6 * pack.ensemble_parameters
    assert pack.reassembly.gap == 0.0
    assert pack.proof_summary.top1_agreement == 1.0
