"""Training the origins: the market's models, cached by a hash of their recipe."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.paper.export import export_with_free_batch
from benchmarks.paper.networks import (
    FILTER_WIDTHS,
    IMAGE_NETWORKS,
    PADDING,
    TEXT_NETWORKS,
    TEXT_SIZES,
    TextShape,
)

INPUTS = {
    "vgg16": "image",
    "resnet34": "image",
    "cnn4": "image",
    "cnn4_pooled": "image",
    "rnn": "tokens",
    "cnn": "tokens",
}
"""By architecture: what an origin's input is called."""


@dataclass(frozen=True)
class OriginRecipe:
    """All that an origin depends on.

    Attributes:
        data: The data set's name.
        classes: Its classes that the origin knows, in the order of the origin's scores.
        arch: The architecture's name.
        width: Factor on its channels or units.
        seed: Seed of weights, order and augmentation.
        examples: Training examples.
        epochs: Passes over the training data.
        batch: Examples of a step.
        learning_rate: The highest rate of the one-cycle schedule.
        weight_decay: Decay of all weights.
        vocabulary: Tokens that a text network knows; 0 for pictures.
    """

    data: str
    classes: tuple[int, ...]
    arch: str
    width: float
    seed: int
    examples: int
    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    vocabulary: int = 0

    @property
    def digest(self) -> str:
        """A name for the file that the origin is kept in."""
        document = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(document.encode()).hexdigest()[:24]


@dataclass(frozen=True, eq=False)
class Origin:
    """A trained origin.

    Attributes:
        recipe: What it was trained with.
        model: The ONNX file's bytes; one input (`INPUTS`), one output `scores`.
        train_seconds: Wall time of its training, in seconds.
    """

    recipe: OriginRecipe
    model: bytes
    train_seconds: float


def image_recipe(
    data: str, classes: tuple[int, ...], arch: str, width: float, seed: int, examples: int
) -> OriginRecipe:
    """The recipe of an origin that looks at pictures."""
    # Few pictures need more passes: about 1,650 steps, at most 60 epochs.
    epochs = int(np.clip(round(1650 * 128 / examples), 14, 60))
    return OriginRecipe(data, classes, arch, width, seed, examples, epochs, 128, 0.1, 5e-4)


def text_recipe(
    data: str, classes: tuple[int, ...], arch: str, width: float, seed: int, examples: int
) -> OriginRecipe:
    """The recipe of an origin that reads sentences; its vocabulary is to be set."""
    # Filters over embeddings from scratch learn the training sentences by heart in few passes.
    epochs, rate = (6, 1e-3) if arch == "cnn" else (15, 2e-3)
    return OriginRecipe(data, classes, arch, width, seed, examples, epochs, 50, rate, 1e-5)


def origin(
    recipe: OriginRecipe,
    inputs: NDArray[np.generic],
    labels: NDArray[np.int64],
    cache: Path,
    report: Callable[[int, int], None],
) -> Origin:
    """Trains an origin, or takes it from the cache.

    Args:
        recipe: What to train.
        inputs: Pictures float32 `(n, 3, 32, 32)` or tokens int64 `(n, length)`.
        labels: Places in `recipe.classes`, `(n,)`.
        cache: Folder of trained origins.
        report: Told epochs done and in all.

    Returns:
        The origin.
    """
    path, notes = cache / f"{recipe.digest}.onnx", cache / f"{recipe.digest}.json"
    if notes.exists():
        seconds = float(json.loads(notes.read_text())["train_seconds"])
        return Origin(recipe, path.read_bytes(), seconds)
    start = time.perf_counter()
    network = _trained(recipe, torch.from_numpy(inputs), torch.from_numpy(labels), report)
    seconds = time.perf_counter() - start
    cache.mkdir(parents=True, exist_ok=True)
    model = _exported(network, recipe, torch.from_numpy(inputs[:2]), path)
    _write(notes, json.dumps({"recipe": asdict(recipe), "train_seconds": seconds}, indent=1))
    return Origin(recipe, model, seconds)


def untrained(recipe: OriginRecipe) -> nn.Module:
    """The network of a recipe with new weights, drawn from torch's generator."""
    classes = len(recipe.classes)
    if recipe.arch in IMAGE_NETWORKS:
        return IMAGE_NETWORKS[recipe.arch](classes, recipe.width)
    embedding, units = TEXT_SIZES[recipe.arch]
    shape = TextShape(recipe.vocabulary, embedding, max(1, round(units * recipe.width)))
    return TEXT_NETWORKS[recipe.arch](classes, shape)


def _trained(
    recipe: OriginRecipe, inputs: Tensor, labels: Tensor, report: Callable[[int, int], None]
) -> nn.Module:
    torch.manual_seed(recipe.seed)
    pictures = recipe.arch in IMAGE_NETWORKS
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = untrained(recipe).to(device).train()
    if pictures:
        _lay_out(network, torch.channels_last)
    optimizer = _optimizer(network, recipe, pictures=pictures)
    steps = recipe.epochs * -(-len(labels) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps
    )
    half = recipe.arch != "rnn" and _bfloat16_is_fast(device)
    for epoch in range(recipe.epochs):
        for places in torch.randperm(len(labels)).split(recipe.batch):
            batch = _moved(inputs[places]) if pictures else _without_idle_steps(inputs[places])
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
                scores = network(batch.to(device))
            loss = nn.functional.cross_entropy(scores.float(), labels[places].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        report(epoch + 1, recipe.epochs)
    network = network.cpu().eval()
    _lay_out(network, torch.contiguous_format)
    return network


def _bfloat16_is_fast(device: torch.device) -> bool:
    """Whether the device computes in bfloat16; one that imitates it takes ten times as long."""
    if device.type != "cpu":
        return True
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16") or known.get("bf16"))


def _lay_out(network: nn.Module, layout: torch.memory_format) -> None:
    """Kernels of convolutions in the order of memory that is fast, or the usual one."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=layout)


def _optimizer(
    network: nn.Module, recipe: OriginRecipe, *, pictures: bool
) -> torch.optim.Optimizer:
    if pictures:
        return torch.optim.SGD(
            network.parameters(),
            recipe.learning_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=recipe.weight_decay,
        )
    # Most of a text network is its embedding, which every step changes: one pass over it.
    return torch.optim.Adam(
        network.parameters(),
        recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def _without_idle_steps(tokens: Tensor) -> Tensor:
    """Sentences cut where the longest of them ends, as far as windows reach: the same scores."""
    longest = int((tokens != PADDING).sum(dim=1).max())
    return tokens[:, : longest + max(FILTER_WIDTHS) - 1]


def _moved(pictures: Tensor) -> Tensor:
    """Each picture mirrored or not, and cropped from itself with four pixels of padding."""
    count, _, height, width = pictures.shape
    padded = nn.functional.pad(pictures, (4, 4, 4, 4), mode="reflect")
    top, left = torch.randint(0, 9, (2, count, 1))
    columns = torch.arange(width).expand(count, width)
    columns = torch.where(torch.rand(count, 1) < 0.5, columns.flip(1), columns) + left
    rows = torch.arange(height).expand(count, height) + top
    place = torch.arange(count)
    moved = padded[place[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _exported(network: nn.Module, recipe: OriginRecipe, example: Tensor, path: Path) -> bytes:
    """Writes the network as ONNX, whole or not at all."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    export_with_free_batch(network, example, INPUTS[recipe.arch], partial)
    partial.replace(path)
    return path.read_bytes()


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(text)
    partial.replace(path)
