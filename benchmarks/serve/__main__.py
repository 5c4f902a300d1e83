"""``python -m benchmarks.serve``: packs against their full originals, in the same Triton.

Closed loop: every client sends its next request when it has the answer to the last. Models take
turns in every round, ratios are taken within a round, and the median over the rounds is told.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog

from benchmarks import arguments as take
from benchmarks.paper.command_line import FAILURES, write_measured
from benchmarks.paper.progress import Progress
from benchmarks.serve.clients import Clients, Order, clients_of
from benchmarks.serve.contestants import Contestant, Field, Wish, field
from benchmarks.serve.overhead import Measured
from benchmarks.serve.processes import peak_rss_bytes
from benchmarks.serve.site import Site, run_time, running_site
from onnxgraph.parity import Runner
from packer_svc.fusion.precision import Precision
from serving.errors import ServingError
from serving.model_config import DynamicBatching
from serving.tuning import Tuning, tuned
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.serve"
BATCHES = (1, 8, 32)
WITHOUT_WINDOW = "pack-without-window"
"""The float pack served without a batching window."""

ENSEMBLE = "ensemble"
ENSEMBLE_IN_BYTES = "ensemble-bytes"
Rates = dict[tuple[str, int], list[float]]


@dataclass(frozen=True)
class Pace:
    """How long is measured.

    Attributes:
        clients: Clients at once.
        rounds: Turns of all models.
        seconds: Of one model at one batch in a round.
    """

    clients: int
    rounds: int
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes ``serve.json``.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `write_measured`.
    """
    failures = (*FAILURES, ServingError)
    return write_measured(_parser(), arguments, _figures, "serve.json", failures)


def _figures(parsed: argparse.Namespace) -> dict[str, object]:
    # Triton's own lines are of no interest unless something is wrong.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    wish = Wish(
        parsed.data,
        parsed.out,
        parsed.width,
        parsed.seed,
        parsed.budgets,
        parsed.block,
        parsed.threads,
    )
    pace = Pace(parsed.clients, parsed.rounds, parsed.seconds)
    found = asyncio.run(_measured(field(wish), parsed.budgets, pace))
    return {**found, "clients": pace.clients}


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--data", type=Path, required=True, help="folder of the data sets")
    add("--out", type=Path, required=True, help="folder of results; .cache in it is shared by runs")
    add(
        "--budgets",
        type=take.listed(take.share),
        default=(0.22, 0.11),
        help="shares of the MACs, 0.22,0.11 if left out; the first pack is compared most closely",
    )
    add("--block", type=take.count, default=16, help="channels are kept in multiples of this")
    add("--width", type=take.factor, default=0.5, help="factor on the origins' channels")
    add("--seed", type=take.seed, default=0, help="of origins and samples")
    add("--clients", type=take.count, default=4, help="clients at once")
    add("--rounds", type=take.count, default=5, help="turns of all models")
    add("--seconds", type=take.factor, default=3.0, help="of one model at one batch in a round")
    add("--threads", type=take.count, default=usable_cores(), help="of training and slicing")
    add("--force", action="store_true", help="replace a document that is there")
    return found


async def _measured(contest: Field, budgets: Sequence[float], pace: Pace) -> Mapping[str, object]:
    """Serves all contestants and measures them."""
    first = contest.packs[budgets[0], Precision.FP32]
    cores = usable_cores()
    tunings = {one.name: tuned(run_time(one), cores) for one in contest.all}
    with tempfile.TemporaryDirectory() as folder:
        async with running_site(Path(folder)) as site:
            await _load(site, contest, tunings, first)
            pid = site.triton.pid
            assert pid is not None
            address = site.triton.grpc_address
            images = (contest.ensemble.images, contest.ensemble_in_bytes.images)
            with clients_of(address, images, pace.clients) as clients:
                rates = await asyncio.to_thread(_rates, clients, contest, pace)
                lone = await asyncio.to_thread(_lone_rates, clients, first.name, pace)
                measured = Measured(clients, pid, first.name, Runner(first.graph), images[0])
                overhead = {
                    str(batch): await asyncio.to_thread(
                        measured.overhead, batch, pace.rounds, pace.seconds
                    )
                    for batch in BATCHES
                }
            peak = peak_rss_bytes(pid)
    narrow = contest.packs[budgets[0], Precision.INT8]
    return {
        "throughput_ratio": _ratios(rates, first.name),
        "throughput_ratio_int8": _ratios(rates, narrow.name),
        "triton_overhead_ratio": overhead,
        "lone_client_loss_ratio": lone,
        "plan_regret_ratio": contest.regret,
        "pack_accuracy": first.accuracy,
        "int8_accuracy": narrow.accuracy,
        "ensemble_accuracy": contest.ensemble.accuracy,
        "pack_macs": first.macs,
        "ensemble_macs": contest.ensemble.macs,
        "instances": tunings[first.name].instances.count,
        "peak_rss_bytes": peak,
        "models": [_told_of(one, rates, tunings[one.name]) for one in contest.all],
    }


async def _load(
    site: Site, contest: Field, tunings: Mapping[str, Tuning], first: Contestant
) -> None:
    for one in contest.all:
        await site.serve(one.name, one, tunings[one.name])
    alone = replace(tunings[first.name], batching=DynamicBatching())
    await site.serve(WITHOUT_WINDOW, first, alone)


def _rates(clients: Clients, contest: Field, pace: Pace) -> Rates:
    """Images a second of every contestant at every batch, round by round."""
    rates: Rates = {(one.name, batch): [] for one in contest.all for batch in BATCHES}
    progress = Progress(pace.rounds)
    for number in range(pace.rounds):
        for batch in BATCHES:
            for one in contest.all:
                progress.tell(f"round {number + 1}: {one.name} at batch {batch}")
                order = Order(one.name, batch, pace.seconds, one.in_bytes)
                rates[one.name, batch].append(clients.images_per_second(order))
        progress.finish(f"round {number + 1}")
    return rates


def _lone_rates(clients: Clients, model: str, pace: Pace) -> float:
    """What the window costs a lone client of single images: its rate without over that with it."""
    ratios = []
    for _ in range(pace.rounds):
        without, within = (
            clients.images_per_second(Order(name, 1, pace.seconds), count=1)
            for name in (WITHOUT_WINDOW, model)
        )
        ratios.append(without / within)
    return statistics.median(ratios)


def _ratios(rates: Rates, model: str, base: str = ENSEMBLE) -> dict[str, float]:
    """Median over the rounds of a model's throughput over another's, by batch."""
    return {
        str(batch): statistics.median(
            here / there
            for here, there in zip(rates[model, batch], rates[base, batch], strict=True)
        )
        for batch in BATCHES
    }


def _told_of(one: Contestant, rates: Rates, tuning: Tuning) -> dict[str, object]:
    return {
        "name": one.name,
        "accuracy": one.accuracy,
        "macs": one.macs,
        "parameters": one.parameters,
        "bytes": len(one.graph),
        "images_per_second": {
            str(batch): statistics.median(rates[one.name, batch]) for batch in BATCHES
        },
        "throughput_ratio": _ratios(rates, one.name),
        "throughput_ratio_of_equal_input": _ratios(
            rates, one.name, ENSEMBLE_IN_BYTES if one.in_bytes else ENSEMBLE
        ),
        "tuning": asdict(tuning),
    }


if __name__ == "__main__":
    sys.exit(main())
