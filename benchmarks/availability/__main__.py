"""``python -m benchmarks.availability``: health, restarts, switches, loads; all under load."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import torch

from benchmarks import arguments as take
from benchmarks.availability.answers import Asked, ask_while_switching, graph_of
from benchmarks.availability.cycles import growth_over_cycles, processes_of
from benchmarks.availability.health import health_latencies_ms, percentile
from benchmarks.availability.restart import restart_seconds
from benchmarks.availability.switches import clients_at, switch_in_turns, switch_to
from benchmarks.demo.digits import split_digits
from benchmarks.demo.market import Market
from benchmarks.demo.origins import ARCHITECTURES, export_origin, train_origin
from benchmarks.demo.services import Addresses, running_services

CLIENTS = 4
RUNS = 5
LABELS = ("zero", "one", "two")
PARTS = ("restart", "health", "switches", "predictions", "cycles")
DEPLOYMENT = "deployments/switched"
COMPARED_SWITCHES = 20
DRAWN = 500


def main() -> int:
    """Runs the benchmark and writes ``availability.json``.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="where figures are written")
    parser.add_argument(
        "--probes", type=take.count, default=1000, help="health probes while slicing"
    )
    parser.add_argument("--switches", type=take.count, default=200, help="switches under load")
    parser.add_argument(
        "--predictions",
        type=take.count,
        default=10_000,
        help="requests during 20 switches, all compared",
    )
    parser.add_argument("--cycles", type=take.count, default=200, help="loads and unloads of packs")
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="this part alone; may be given again"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = arguments.out / "availability"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    parts = arguments.only or PARTS
    figures: dict[str, Any] = {}
    if "restart" in parts:
        figures |= restarts(folder)
    counts = {
        "health": arguments.probes,
        "switches": arguments.switches,
        "predictions": arguments.predictions,
        "cycles": arguments.cycles,
    }
    if set(parts) & set(counts):
        figures |= with_services(folder, {part: counts[part] for part in parts if part in counts})
    path = arguments.out / "availability.json"
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0


def restarts(folder: Path) -> dict[str, Any]:
    """Measures how long services take to start over an existing state folder."""
    figures = {}
    for service in ("slicer_svc", "packer_svc"):
        times = restart_seconds(service, folder / service, RUNS)
        figures[f"{service.removesuffix('_svc')}_restart_seconds"] = statistics.median(times)
        figures[f"{service.removesuffix('_svc')}_restart_seconds_max"] = max(times)
    return figures


def with_services(folder: Path, counts: Mapping[str, int]) -> dict[str, Any]:
    """Measures what needs running services: every part that has a count."""
    graph, samples = write_origin(folder)
    figures: dict[str, Any] = {}
    with running_services(folder) as addresses:
        market = Market(addresses)
        market.submit("vgg", graph, samples, LABELS)
        packs = []
        for beta in ("0.5", "0.4"):
            fragments = [market.slice("models/vgg", label, "--beta", beta) for label in LABELS[:2]]
            packs.append(market.pack(f"pack-{beta.replace('.', '-')}", fragments)["name"])
        market.deploy("switched", packs[0])
        if "health" in counts:
            figures |= health(addresses, counts["health"])
        if "switches" in counts:
            figures |= switches(addresses, packs, counts["switches"])
        if "predictions" in counts:
            figures |= predictions(addresses, packs, counts["predictions"])
        if "cycles" in counts:
            figures |= cycles(addresses, packs, counts["cycles"])
    return figures


def health(addresses: Addresses, probes: int) -> dict[str, Any]:
    """Probes the slicer's health while it slices."""
    times = health_latencies_ms(addresses.slicer, "models/vgg", probes)
    return {
        "health_p50_ms": percentile(times, 0.5),
        "health_p99_ms": percentile(times, 0.99),
        "health_max_ms": max(times),
        "health_probes": probes,
    }


def switches(addresses: Addresses, packs: Sequence[str], count: int) -> dict[str, Any]:
    """Switches under load."""
    start = time.monotonic()
    with clients_at(addresses.triton, "switched", CLIENTS) as load:
        switch_in_turns(addresses.packer, DEPLOYMENT, packs, count)
    seconds = time.monotonic() - start
    if load.errors:
        sys.stderr.write(f"first failed request: {load.errors[0]}\n")
    return {
        "switches": count,
        "switch_seconds": seconds / count,
        "clients": CLIENTS,
        "requests_answered": load.answered,
        "requests_failed": len(load.errors),
    }


def predictions(addresses: Addresses, packs: Sequence[str], requests: int) -> dict[str, Any]:
    """Compares every answer during `COMPARED_SWITCHES` switches with the packs' own."""
    images = np.random.default_rng(0).uniform(size=(DRAWN, 1, 8, 8)).astype(np.float32)
    with grpc.insecure_channel(addresses.packer) as channel:
        graphs = {pack: graph_of(channel, pack) for pack in packs}
        switch_to(channel, DEPLOYMENT, packs[0])
        told = ask_while_switching(
            Asked.of("switched", "image", images, graphs),
            [("grpc", addresses.triton), ("http", addresses.triton_http)] * (CLIENTS // 2),
            lambda pack: switch_to(channel, DEPLOYMENT, pack),
            (requests, [packs[turn % 2] for turn in range(COMPARED_SWITCHES + 1)]),
        )
    for problem in told.problems[:5]:
        sys.stderr.write(f"{problem}\n")
    return {
        "compared_switches": COMPARED_SWITCHES,
        "compared_requests": told.requests,
        "compared_wrong_or_failed": len(told.problems),
        "compared_by_pack": dict(told.answers),
    }


def cycles(addresses: Addresses, packs: Sequence[str], count: int) -> dict[str, Any]:
    """Loads and unloads packs, and looks at the memory of those who do it."""
    start = time.monotonic()
    growth = growth_over_cycles(
        (addresses.packer, addresses.triton), processes_of(os.getpid()), packs, count
    )
    figures: dict[str, Any] = {"cycles": count, "cycle_seconds": time.monotonic() - start}
    for name, found in growth.items():
        figures[f"{name}_rss_bytes_before"] = found.before
        figures[f"{name}_rss_bytes_growth"] = found.bytes
    return figures


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
