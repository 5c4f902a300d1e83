"""The demo's origins: three small convolutional classifiers, trained and exported."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.demo.digits import LabelledDigits

EPOCHS = 40
BATCH = 64
LEARNING_RATE = 2e-3


def vgg_style(classes: int) -> nn.Sequential:
    """Plain convolutions, max pooling and a dense layer; five hidden layers."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(256, 64), nn.ReLU()),
        nn.Linear(64, classes),
    )


def all_convolutional_style(classes: int) -> nn.Sequential:
    """Strided convolutions, batch normalisation, global average pooling; four hidden layers."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.LeakyReLU(0.1)),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64)),
        *(nn.LeakyReLU(0.1), nn.Conv2d(64, 96, 3, padding=1, bias=False), nn.BatchNorm2d(96)),
        *(nn.LeakyReLU(0.1), nn.Conv2d(96, 96, 3, stride=2, padding=1, bias=False)),
        *(nn.BatchNorm2d(96), nn.LeakyReLU(0.1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(96, classes),
    )


def mobilenet_style(classes: int) -> nn.Sequential:
    """Depthwise separable convolutions with hard swish; six hidden layers."""

    def separable(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
            *(nn.BatchNorm2d(inputs), nn.Hardswish()),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            *(nn.BatchNorm2d(outputs), nn.Hardswish()),
        ]

    return nn.Sequential(
        *(nn.Conv2d(1, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.Hardswish()),
        *separable(48, 96, 2),
        *separable(96, 128, 1),
        *separable(128, 128, 2),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(128, classes),
    )


ARCHITECTURES: Mapping[str, Callable[[int], nn.Sequential]] = {
    "vgg": vgg_style,
    "allconv": all_convolutional_style,
    "mobilenet": mobilenet_style,
}


def train_origin(
    build: Callable[[int], nn.Sequential], data: LabelledDigits, seed: int
) -> nn.Sequential:
    """Trains one origin on its owner's data with Adam, a one-cycle rate and shifts of one pixel.

    Args:
        build: makes the network for a number of classes.
        data: the owner's training data, labels from 0 on.
        seed: the seed of weights, order and shifts.

    Returns:
        The network in evaluation mode.
    """
    torch.manual_seed(seed)
    network = build(int(data.labels.max()) + 1)
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    steps = EPOCHS * -(-len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    network.train()
    for _ in range(EPOCHS):
        for places in torch.randperm(len(labels)).split(BATCH):
            loss = nn.functional.cross_entropy(network(shifted(images[places])), labels[places])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def shifted(images: Tensor) -> Tensor:
    """Shifts a batch (n, 1, 8, 8) by at most one pixel in each direction, zeros coming in."""
    down, right = (int(step) for step in torch.randint(-1, 2, (2,)))
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    return padded[:, :, 1 + down : 9 + down, 1 + right : 9 + right]


def export_origin(network: nn.Sequential, path: Path, *, dynamo: bool) -> None:
    """Writes a network as an ONNX file with a free batch, by one of torch's two exporters.

    Args:
        network: the network in evaluation mode.
        path: the file.
        dynamo: whether torch's newer exporter writes it.
    """
    example = (torch.zeros(2, 1, 8, 8),)
    # The newer exporter warns that torchvision, which nothing here needs, is not installed.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The older exporter announces its end with every call; both are still in use.
        warnings.simplefilter("ignore")
        if not dynamo:
            torch.onnx.export(
                network,
                example,
                str(path),
                dynamo=False,
                input_names=["image"],
                output_names=["scores"],
                dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
            )
            return
        program = torch.onnx.export(
            network,
            example,
            dynamo=True,
            verbose=False,
            input_names=["image"],
            output_names=["scores"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
        assert program is not None
        program.save(str(path), external_data=False)
