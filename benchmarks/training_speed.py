"""Time of a whole optimiser step, the EGRU's against a cuDNN LSTM's: ``python -m benchmarks.training_speed --out speed.json``.

On two GPUs: ``torchrun --nproc-per-node 2 -m benchmarks.training_speed --two-gpus --out speed.json``.

Everything that is compared is measured in one run on one GPU: the float and the quantisation-aware EGRU, and the LSTM of
`benchmarks.lstm_baseline` with its rows padded to what the kernels like best, which is the fair peer, and as given; all with the same
shape, optimiser and regularisation. Text is random and weights are initial ones. A step is what training does: dropout, forward,
backward, clipping and update, with the symbols on the GPU already. A time is the median over many steps, between CUDA events, and of
three such series the middle one; the spread is that between the series.

A variant that fails leaves its error and does not stop the others. The file is written after every variant.
"""

import gc
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import torch.distributed as dist
import typer
from torch import Tensor

from benchmarks.lstm_baseline import LstmStepper, choose_device
from benchmarks.paper_results import ProfilePart, Speed, Times, TwoGpus
from benchmarks.results_file import errors_to_exit_codes, read_results, write_results
from egru.output import progress_console
from sw_model.dropout import Dropout
from sw_model.errors import UserError
from sw_model.event_gru import EventNetwork, NetworkConfig, NetworkShape
from sw_model.quantizers import QuantizationConfig, quantize
from sw_model.train_config import TrainConfig

RESULT_FILE = Path("benchmarks/results/speed.json")
BATCH, LARGE_BATCH = 64, 128
SERIES, WARM_UPS = 3, 5
#: Texts that the steps take turns with.
CHUNKS = 4
PROFILED = 5

Step = Callable[[Tensor, bool, float, int], Tensor]


@dataclass(frozen=True)
class Task:
    """What is measured.

    Attributes:
        tokens: Distinct symbols.
        embedding: Length of an embedding row; also the size of the last layer, as the decoder is tied.
        hidden: Neurons per layer.
        chunk: Time steps of an optimiser step.
        steps: Optimiser steps of one series.
    """

    tokens: int = 10_000
    embedding: int = 750
    hidden: tuple[int, ...] = (1350, 1350, 750)
    chunk: int = 70
    steps: int = 40

    def config(self, streams: int, *, quantised: bool = False) -> TrainConfig:
        """Return the phase that is measured."""
        return TrainConfig(
            network=NetworkShape(embedding_size=self.embedding, hidden_sizes=self.hidden, tied_decoder=True),
            quantization=QuantizationConfig() if quantised else None,
            dropout=Dropout(word=0.1, embedding=0.6, between=0.25, decoder=0.5, recurrent=0.7),
            steps=self.steps,
            streams=streams,
            chunk=self.chunk,
            learning_rate=1.2e-3,
            betas=(0.0, 0.999),
            weight_decay=0.1,
            gradient_clip=0.1,
        )


FULL = Task()
TINY = Task(tokens=50, embedding=6, hidden=(8, 6), chunk=4, steps=3)


def lstm_step(task: Task, streams: int, device: torch.device, *, padded: bool) -> Step:
    """Make an LSTM; return its step."""
    return LstmStepper(task.config(streams), task.tokens, device, padded=padded).step


def event_step(task: Task, streams: int, device: torch.device, *, quantised: bool = False) -> Step:
    """Make an EGRU; return its step. ``streams`` are those of all processes together."""
    # Needs Triton, which a machine without a GPU may lack.
    from sw_model.fused_stepper import FusedStepper

    config = task.config(streams, quantised=quantised)
    torch.manual_seed(config.seed)
    # Calibrated on the GPU: the scales of so many weights take a CPU the better part of a minute.
    network = EventNetwork(NetworkConfig(tokens=task.tokens, **config.network.model_dump())).to(device)
    if config.quantization is not None:
        quantize(network, config.quantization)
    return FusedStepper(network.to(device), config, device).step


def variants(task: Task, device: torch.device) -> dict[str, Callable[[int], Step]]:
    """Return what is measured, by the name of its figure; each takes the streams. Our kernels, which are the newest, come last."""
    made: dict[str, Callable[[int], Step]] = {
        "cudnn_lstm": lambda streams: lstm_step(task, streams, device, padded=True),
        "cudnn_lstm_unpadded": lambda streams: lstm_step(task, streams, device, padded=False),
    }
    if device.type == "cuda":
        made["ours"] = lambda streams: event_step(task, streams, device)
        made["qat"] = lambda streams: event_step(task, streams, device, quantised=True)
    return made


def measure(step: Step, task: Task, streams: int, device: torch.device) -> list[float]:
    """Return the median milliseconds per step of every series.

    Args:
        step: Of a stepper.
        task: What is measured.
        streams: That this process computes.
        device: Where.

    Raises:
        ArithmeticError: When the loss is not a number: such a step may take another time than a right one.
    """
    one = _rotating(step, task, streams, device)
    for _ in range(WARM_UPS):
        next(one)
    series = [median(_step_times(one, task.steps, device)) for _ in range(SERIES)]
    loss = next(one).item()
    if not math.isfinite(loss):
        raise ArithmeticError(f"the loss is {loss}")
    return series


def _rotating(step: Step, task: Task, streams: int, device: torch.device) -> Iterator[Tensor]:
    """Do a step of training for every value that is taken; random text, never zeros, which a GPU multiplies faster."""
    generator = torch.Generator().manual_seed(1)
    shape = (CHUNKS, task.chunk + 1, streams)
    chunks = torch.randint(task.tokens, shape, generator=generator).to(device)
    number = 0
    while True:
        yield step(chunks[number % CHUNKS], number == 0, 1e-3, number)
        number += 1


def _step_times(one: Iterator[Tensor], count: int, device: torch.device) -> list[float]:
    """Return the milliseconds of each of ``count`` steps."""
    if device.type != "cuda":
        moments = [time.perf_counter()]
        for _ in range(count):
            next(one)
            moments.append(time.perf_counter())
        return [1000.0 * (after - before) for before, after in pairwise(moments)]
    events = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]  # type: ignore[no-untyped-call]
    events[0].record()
    for event in events[1:]:
        next(one)
        event.record()
    torch.cuda.synchronize()
    return [before.elapsed_time(after) for before, after in pairwise(events)]


def measure_all(task: Task, device: torch.device, results: Speed, out: Path) -> None:
    """Fill ``results`` in, and write them after every variant."""
    for name, make in variants(task, device).items():
        for streams, times in ((BATCH, results), (LARGE_BATCH, results.batch128)):
            _try(name, make, task, streams, device, times)
            write_results(results, out)
    if device.type == "cuda" and results.ours_ms is not None:
        try:
            results.profile = profile(event_step(task, BATCH, device), task, device)
        except Exception as error:  # the times stand without it
            results.errors["profile"] = _words(error)
        write_results(results, out)


def _try(name: str, make: Callable[[int], Step], task: Task, streams: int, device: torch.device, times: Times) -> None:
    """Measure one variant; a failure, of whatever kind, is its result."""
    try:
        series = measure(make(streams), task, streams, device)
    except Exception as error:  # the other variants are measured
        times.errors[name] = _words(error)
        _say(f"{name}, {streams} streams: {times.errors[name]}")
    else:
        setattr(times, f"{name}_ms", median(series))
        times.spread_ms[name] = max(series) - min(series)
        _say(f"{name}, {streams} streams: {median(series):.3f} ms, spread {times.spread_ms[name]:.3f} ms")
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def profile(step: Step, task: Task, device: torch.device) -> list[ProfilePart]:
    """Return the time of our kernels in a step, by kind, longest first."""
    one = _rotating(step, task, BATCH, device)
    for _ in range(WARM_UPS):
        next(one)
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        for _ in range(PROFILED):
            next(one)
        torch.cuda.synchronize()
    kernels = [(event.key, event.self_device_time_total) for event in profiler.key_averages()]
    return grouped([(name, microseconds / (1000.0 * PROFILED)) for name, microseconds in kernels])


KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("matrix products", re.compile(r"gemm|nvjet|cutlass|xmma|cublas|splitk", re.IGNORECASE)),
    ("copies and fills", re.compile(r"memcpy|memset", re.IGNORECASE)),
    ("sums over GPUs", re.compile(r"nccl", re.IGNORECASE)),
    ("element-wise kernels of torch", re.compile(r"at::|at_cuda|cub::")),
)


def grouped(kernels: Sequence[tuple[str, float]]) -> list[ProfilePart]:
    """Add up milliseconds by kind of kernel, longest first; a kernel of our own is a kind by itself."""
    totals: dict[str, float] = {}
    for name, ms in kernels:
        kind = next((kind for kind, pattern in KINDS if pattern.search(name)), name)
        totals[kind] = totals.get(kind, 0.0) + ms
    return [ProfilePart(part=kind, ms=ms) for kind, ms in sorted(totals.items(), key=lambda item: -item[1]) if ms > 0]


def measure_two_gpus(task: Task) -> TwoGpus | None:
    """Measure a step of two processes, one GPU each, against one; under ``torchrun``.

    Returns:
        The figures, or None in the process that does not report.

    Raises:
        UserError: When there are not two processes with a GPU each.
    """
    rank, world = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world != 2 or torch.cuda.device_count() < world:
        raise UserError(f"{world} processes on {torch.cuda.device_count()} GPUs", "are not two on two", "use torchrun --nproc-per-node 2")
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    one_ms = 0.0
    if rank == 0:
        # Before there is a group: a stepper would join it. The other process waits in the next line.
        one_ms = median(measure(event_step(task, LARGE_BATCH, device), task, LARGE_BATCH, device))
        gc.collect()
    dist.init_process_group("nccl", device_id=device, timeout=timedelta(seconds=180))
    try:
        two_ms = median(measure(event_step(task, world * LARGE_BATCH, device), task, LARGE_BATCH, device))
        dist.barrier()
    finally:
        dist.destroy_process_group()
    if rank:
        return None
    return TwoGpus(batch=LARGE_BATCH, one_ms=one_ms, two_ms=two_ms, speedup=world * one_ms / two_ms)


def summary(results: Speed) -> str:
    """Write the results as a short table."""
    lines = [f"{results.gpu}, {results.steps} time steps, milliseconds per optimiser step (spread)", f"{'':20}{BATCH:>20}{LARGE_BATCH:>20}"]
    for name in ("ours", "qat", "cudnn_lstm", "cudnn_lstm_unpadded"):
        cells = []
        for times in (results, results.batch128):
            ms = getattr(times, f"{name}_ms")
            cells.append("-" if ms is None else f"{ms:.3f} ({times.spread_ms[name]:.3f})")
        lines.append(f"{name:20}{cells[0]:>20}{cells[1]:>20}")
    if results.two_gpus:
        two = results.two_gpus
        lines.append(
            f"two GPUs, {two.batch} streams each: {two.two_ms:.3f} against {two.one_ms:.3f} on one, {two.speedup:.2f} times as fast"
        )
    if results.profile:
        total = sum(part.ms for part in results.profile)
        lines.append(f"kernels of ours, side by side, so that they add up to more than a step: {total:.3f}")
        lines += [f"  {part.ms:8.3f}  {part.part}" for part in results.profile]
    lines += [f"failed: {name}: {error}" for times in (results, results.batch128) for name, error in times.errors.items()]
    return "\n".join(lines)


def run(
    out: Annotated[Path, typer.Option(help="Result file; a figure of two GPUs that it holds is kept.")] = RESULT_FILE,
    two_gpus: Annotated[bool, typer.Option("--two-gpus", help="Under torchrun: only two GPUs against one.")] = False,
    device: Annotated[str | None, typer.Option(help="cuda or cpu; a CPU measures a tiny LSTM, to see that all works.")] = None,
) -> None:
    """Measure the speed of training."""
    # As in training, and for all variants alike: it is read once, by whoever comes first.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with errors_to_exit_codes():
        known = read_results(out, Speed)
        if two_gpus:
            found = measure_two_gpus(FULL)
            if found is None:
                return
            results = known or _unmeasured(torch.cuda.get_device_name(), FULL)
            results.two_gpus = found
            write_results(results, out)
        else:
            chosen = choose_device(device)
            on_gpu = chosen.type == "cuda"
            task = FULL if on_gpu else TINY
            results = _unmeasured(torch.cuda.get_device_name() if on_gpu else "CPU", task)
            results.two_gpus = known.two_gpus if known else None
            measure_all(task, chosen, results, out)
        print(summary(results))


def _unmeasured(gpu: str, task: Task) -> Speed:
    return Speed(gpu=gpu, batch=BATCH, steps=task.chunk, batch128=Times())


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _say(words: str) -> None:
    progress_console.print(words, soft_wrap=True, highlight=False)


if __name__ == "__main__":
    typer.run(run)
