"""The paper's figures (ALGORITHM.md, section 5): fractions, k = 20 unless said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One figure of the paper.

    Attributes:
        task: T1 … T7.
        arch: The architecture.
        method: What the paper calls the method; (R) by rate, (T) by threshold.
        k: Samples of a class.
        accuracy: Mean over targets.
        share: Parameters as a share of the ensemble's, where the paper gives them.
    """

    task: str
    arch: str
    method: str
    k: int
    accuracy: float
    share: float | None = None


def _pictures(
    task: str, arch: str, rate: tuple[float, float | None], threshold: tuple[float, float | None]
) -> list[Published]:
    return [
        Published(task, arch, "S&P (R)", 20, *rate),
        Published(task, arch, "S&P (T)", 20, *threshold),
    ]


TABLE_2: tuple[Published, ...] = (
    *_pictures("T1", "vgg16", (0.7447, 0.261), (0.7637, 0.168)),
    *_pictures("T1", "resnet34", (0.8043, 0.335), (0.8031, 0.453)),
    Published("T1", "vgg16", "finetune", 20, 0.6699),
    Published("T1", "resnet34", "finetune", 20, 0.7156),
    Published("T1", "vgg16", "NetGraft", 20, 0.5218),
    *_pictures("T2", "vgg16", (0.7290, 0.261), (0.8140, 0.372)),
    *_pictures("T2", "resnet34", (0.7585, 0.335), (0.8450, 0.620)),
    *_pictures("T3", "vgg16", (0.7215, None), (0.7955, 0.367)),
    *_pictures("T3", "resnet34", (0.7940, None), (0.8465, 0.633)),
    *_pictures("T4", "vgg16", (0.6986, None), (0.7372, 0.201)),
    *_pictures("T4", "resnet34", (0.7730, None), (0.7946, 0.562)),
    *_pictures("T5", "vgg16", (0.5922, None), (0.6503, 0.188)),
    *_pictures("T5", "resnet34", (0.6340, None), (0.7173, 0.539)),
    Published("T5", "vgg16", "finetune", 20, 0.4211),
    Published("T5", "resnet34", "finetune", 20, 0.5081),
    Published("T5", "vgg16", "CA-MKD", 20, 0.5026),
    Published("T5", "resnet34", "CA-MKD", 20, 0.4097),
    Published("T1", "vgg16", "S&P (R)", 5, 0.7113),
    Published("T1", "vgg16", "S&P (R)", 10, 0.7490),
    Published("T1", "vgg16", "S&P (T)", 5, 0.6220),
    Published("T1", "vgg16", "S&P (T)", 10, 0.7323),
)
"""Table 2: pictures. CA-MKD failed on T1."""

TABLE_5: tuple[Published, ...] = (
    Published("T6", "rnn", "S&P", 5, 0.7979, 0.43),
    Published("T6", "rnn", "S&P", 10, 0.8156, 0.43),
    Published("T6", "rnn", "ensemble", 5, 0.8038, 1.0),
    Published("T6", "rnn", "ensemble", 10, 0.8347, 1.0),
    Published("T6", "rnn", "finetune", 5, 0.6453),
    Published("T6", "rnn", "finetune", 10, 0.6914),
    Published("T7", "cnn", "S&P", 5, 0.6773, 0.49),
    Published("T7", "cnn", "S&P", 10, 0.7402, 0.49),
    Published("T7", "cnn", "ensemble", 5, 0.6911, 1.0),
    Published("T7", "cnn", "ensemble", 10, 0.7332, 1.0),
    Published("T7", "cnn", "finetune", 5, 0.5049),
    Published("T7", "cnn", "finetune", 10, 0.5221),
)
"""Table 5: text, word embeddings not counted."""

SLICING_SECONDS = {
    "vgg16": {5: 60.0, 10: 73.0, 20: 96.0},
    "resnet34": {5: 114.0, 10: 145.0, 20: 219.0},
}
"""Figure 8: seconds a class on an A100, by architecture and k (which line is whose is inferred)."""

MARKET = ((0.2, 200_000.0), (0.3, 600_000.0))
"""Figure 6: about, ε and the rate."""
