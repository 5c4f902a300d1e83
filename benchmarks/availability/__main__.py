"""``python -m benchmarks.availability``: health under load, restarts, and switches under load."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.availability.health import health_latencies_ms, percentile
from benchmarks.availability.restart import restart_seconds
from benchmarks.availability.switches import clients_at, switch_in_turns
from benchmarks.demo.digits import split_digits
from benchmarks.demo.market import Market
from benchmarks.demo.origins import ARCHITECTURES, export_origin, train_origin
from benchmarks.demo.services import running_services

CLIENTS = 4
RUNS = 5
LABELS = ("zero", "one", "two")


def main() -> int:
    """Runs the benchmark and writes ``availability.json``.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="where figures are written")
    parser.add_argument("--probes", type=int, default=1000, help="health probes while slicing")
    parser.add_argument("--switches", type=int, default=200, help="switches under load")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = arguments.out / "availability"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    figures: dict[str, Any] = {}
    for service in ("slicer_svc", "packer_svc"):
        times = restart_seconds(service, folder / service, RUNS)
        figures[f"{service.removesuffix('_svc')}_restart_seconds"] = statistics.median(times)
        figures[f"{service.removesuffix('_svc')}_restart_seconds_max"] = max(times)
    figures |= with_services(folder, arguments.probes, arguments.switches)
    path = arguments.out / "availability.json"
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0


def with_services(folder: Path, probes: int, switches: int) -> dict[str, Any]:
    """Measures health and switches on running services."""
    graph, samples = write_origin(folder)
    with running_services(folder) as addresses:
        market = Market(addresses)
        market.submit("vgg", graph, samples, LABELS)
        packs = []
        for beta in ("0.5", "0.4"):
            fragments = [market.slice("models/vgg", label, "--beta", beta) for label in LABELS[:2]]
            packs.append(market.pack(f"pack-{beta.replace('.', '-')}", fragments)["name"])
        market.deploy("switched", packs[0])
        times = health_latencies_ms(addresses.slicer, "models/vgg", probes)
        start = time.monotonic()
        with clients_at(addresses.triton, "switched", CLIENTS) as load:
            switch_in_turns(addresses.packer, "deployments/switched", packs, switches)
        seconds = time.monotonic() - start
    if load.errors:
        sys.stderr.write(f"first failed request: {load.errors[0]}\n")
    return {
        "health_p50_ms": percentile(times, 0.5),
        "health_p99_ms": percentile(times, 0.99),
        "health_max_ms": max(times),
        "health_probes": probes,
        "switches": switches,
        "switch_seconds": seconds / switches,
        "clients": CLIENTS,
        "requests_answered": load.answered,
        "requests_failed": len(load.errors),
    }


def write_origin(folder: Path) -> tuple[Path, Path]:
    """Trains a small classifier of three digits; returns its ONNX file and its samples."""
    split = split_digits(0)
    network = train_origin(ARCHITECTURES["vgg"], split.train.only((0, 1, 2)), 0)
    export_origin(network, folder / "vgg.onnx", dynamo=False)
    samples = split.market.only((0, 1, 2))
    np.savez(folder / "vgg.npz", image=samples.images, labels=samples.labels)
    return folder / "vgg.onnx", folder / "vgg.npz"


if __name__ == "__main__":
    sys.exit(main())
