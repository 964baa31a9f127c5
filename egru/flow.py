"""The whole flow behind `egru demo`: text to trained, pruned, quantised model, to proved RTL, to a bitstream and its figures.

A pretrained model takes the place of training; all that follows is the same. Everything that can be known to be wrong is looked at before
the first stage. Every stage writes its own folder when it is done, and ``summary.json`` comes last: a folder with it is whole.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from egru import __version__
from egru.artifacts import deal_sequences, require_text
from egru.flow_config import DEMO_HARDWARE, BuildConfig, FlowConfig
from egru.measure import ModelMeasurement, measure_model, quality
from egru.output import CheckFailedError, progress_console, words_to_stderr, working
from egru.place_and_route import BuildResult, build
from egru.pretrained import Pretrained, known_part, write_text
from egru.simulation import RESULT_FILE
from egru.stimulus import choose_stimulus
from egru.summary import (
    CyclesSummary,
    EquivalenceSummary,
    Quality,
    ReferenceEquivalence,
    RtlEquivalence,
    Summary,
    TextSummary,
    build_summary,
    model_summary,
    quality_summary,
)
from egru.tools import require_tools
from hls_gen.board import Board, load_board, render_top
from hls_gen.hardware_config import HardwareConfig, plan
from hls_gen.memory_image import total_bits
from hls_gen.project import write_project
from sw_model import checkpoint, ngram
from sw_model.datasets import TextDataset, load_text
from sw_model.equivalence import compare_with_reference
from sw_model.errors import UserError
from sw_model.evaluate import deal
from sw_model.export import export_checkpoint
from sw_model.output_folder import require_free, write_whole
from sw_model.pruning import require_fit
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.train import evaluate_checkpoint, run_phase
from sw_model.train_config import TrainConfig

CONFIG_FILE = "config.json"
SUMMARY_FILE = "summary.json"
PHASES = ("dense", "pruned", "quantised")
#: Steps over which the fake-quantised network is compared with the reference: streams times steps of each.
COMPARED_STREAMS, COMPARED_STEPS = 16, 128


@dataclass(frozen=True)
class DemoFolder:
    """Where each stage writes, under ``root``."""

    root: Path

    @property
    def text(self) -> Path:
        """The text in a pretrained model's own vocabulary, where the text's is another."""
        return self.root / "text"

    @property
    def model(self) -> Path:
        """The exported artifact."""
        return self.root / "model"

    @property
    def rtl(self) -> Path:
        """The generated RTL."""
        return self.root / "rtl"

    @property
    def simulation(self) -> Path:
        """Log and result of the RTL simulation."""
        return self.root / "simulation"

    @property
    def build(self) -> Path:
        """Reports and bitstream."""
        return self.root / "build"

    def checkpoint(self, phase: str) -> Path:
        """Return the folder of a phase's checkpoint."""
        return self.root / "checkpoints" / phase

    def clear(self) -> None:
        """Remove what a demo writes, and nothing else."""
        self.begin()
        for path in (self.root / "checkpoints", self.text, self.model, self.rtl, self.simulation, self.build):
            shutil.rmtree(path, ignore_errors=True)
        (self.root / CONFIG_FILE).unlink(missing_ok=True)

    def begin(self) -> None:
        """Remove what says that the folder is whole."""
        (self.root / SUMMARY_FILE).unlink(missing_ok=True)


@dataclass
class Stages:
    """Times the stages and says one line about each when it has ended.

    Attributes:
        seconds: Wall-clock seconds by stage, in the order of their ends.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    @contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """Time a stage; the block appends to the list what its line shall say."""
        said: list[str] = []
        start = time.monotonic()
        yield said
        self.done(name, time.monotonic() - start, "  ".join(said))

    def done(self, name: str, seconds: float, result: str) -> None:
        """Record and show a stage that was timed elsewhere."""
        self.seconds[name] = round(seconds, 2)
        progress_console.print(f"[green]✓[/] {name.replace('_', ' '):<24}{seconds:7.1f} s   {result}", highlight=False, soft_wrap=True)

    def total(self) -> dict[str, float]:
        """Return all times and their ``total`` by the clock, which is less than their sum where stages overlap."""
        return self.seconds | {"total": round(time.monotonic() - self._started, 2)}


@dataclass(frozen=True)
class _Inputs:
    """What was found to be in order before the first stage.

    Attributes:
        config: The whole configuration.
        pretrained: The model that came trained; None to train one.
        hardware: What is generated.
        board: What is built for; None to stop before.
        dataset: The text, in the model's tokens.
        unknown: Symbols that were left out of it because a pretrained model does not know them; None where nothing had to be recoded.
    """

    config: FlowConfig
    pretrained: Pretrained | None
    hardware: HardwareConfig
    board: Board | None
    dataset: TextDataset
    unknown: int | None


def run_demo(
    config: FlowConfig,
    out: Path,
    *,
    pretrained: Pretrained | None = None,
    force: bool = False,
    resume: bool = False,
    with_build: bool = True,
) -> Summary:
    """Run every stage.

    Args:
        config: The whole configuration.
        out: Output folder.
        pretrained: A model to take instead of training one.
        force: Replace what an earlier demo wrote there.
        resume: Keep the training phases that an earlier demo with the same configuration has finished there.
        with_build: Go on to the bitstream.

    Raises:
        UserError: When something that the user gave will not do; before training where it can be known then.
        CheckFailedError: When two forms of the model differ.
    """
    stages, folder = Stages(), DemoFolder(Path(out).resolve())
    inputs = _check(config, pretrained, folder, force=force, resume=resume, with_build=with_build)
    if force and not resume:
        folder.clear()
    folder.root.mkdir(parents=True, exist_ok=True)
    folder.begin()
    write_whole(folder.root / CONFIG_FILE, config_text(config))

    if pretrained is None:
        model, compared = _train(inputs, folder, stages, force=resume)
    else:
        model, compared = _take(pretrained, inputs, folder, stages), None
    with stages.stage("generate") as said:
        board, clock, stimulus = inputs.board, config.build.clock_mhz, choose_stimulus(model)
        generated = write_project(
            model, inputs.hardware, folder.rtl, board=board, clock_mhz=clock, stimulus=stimulus, force=resume
        ).generated
        said.append(f"{generated.plan.lanes} lanes, {total_bits(generated.memories) / 1024:.0f} kbit")
    simulated, built, measured, figures = _prove_build_measure(inputs, folder, model, stages, force=resume)

    summary = Summary(
        version=__version__,
        text=_text_summary(inputs),
        pretrained=None if pretrained is None else pretrained.record,
        model=model_summary(model, measured, figures),
        equivalence=EquivalenceSummary(
            fake_quant_vs_reference=compared,
            rtl_vs_reference=RtlEquivalence(
                **{name: simulated[name] for name in ("steps", "events", "values", "mismatches")},
                log=str(Path(simulated["log"]).relative_to(folder.root)),
            ),
        ),
        cycles=CyclesSummary(
            mean_per_step=simulated["cycles_per_step"],
            dense_equivalent_per_step=measured.macs.with_decoder.dense / simulated["lanes"],
            occupancy=simulated["occupancy"],
            lanes=simulated["lanes"],
        ),
        build=None if built is None else build_summary(built, folder.build.name),
        seconds=stages.total(),
    )
    write_whole(folder.root / SUMMARY_FILE, json.dumps(summary.as_json(), indent=1) + "\n")
    return summary


def _check(
    config: FlowConfig, pretrained: Pretrained | None, folder: DemoFolder, *, force: bool, resume: bool, with_build: bool
) -> _Inputs:
    """Look at everything that would stop a later stage."""
    _check_folder(config, folder, force=force, resume=resume)
    require_tools()
    if pretrained is None and config.qat.quantization is None:
        raise UserError("table [qat]", "has no quantization, so nothing could be exported", "add quantization = { weight_bits = 8 }")
    board = None
    if with_build:
        board = load_board(config.build.board)
        render_top(board, config.build.clock_mhz)
    require_text(config.data.source, "egru demo")
    dataset = load_text(config.data.source, config.data.unit, max_vocabulary=config.data.max_vocabulary)
    unknown = None
    if pretrained is None:
        model = stand_in(config, len(dataset.vocabulary))
    else:
        model = pretrained.model
        if dataset.vocabulary != model.vocabulary:
            dataset, unknown = known_part(dataset, model.vocabulary)
    deal_sequences(dataset.test, config.simulation.steps, config.simulation.sequences)
    hardware = config.hardware or DEMO_HARDWARE
    plan(model, hardware)
    return _Inputs(config, pretrained, hardware, board, dataset, unknown)


def stand_in(config: FlowConfig, symbols: int) -> QuantizedModel:
    """Return what tells whether the lanes fit: they are judged by the shape alone, so it need not be the trained model."""
    if config.prune.pruning is not None:
        require_fit(config.prune.pruning, config.dense.network, symbols)
    return random_model(RandomModelSpec(hidden=config.dense.network.hidden_sizes, tokens=symbols, classes=symbols))


def _check_folder(config: FlowConfig, folder: DemoFolder, *, force: bool, resume: bool) -> None:
    if not resume:
        require_free(folder.root, force=force)
        return
    path = folder.root / CONFIG_FILE
    if not path.is_file():
        raise UserError(f"folder {folder.root}", "holds no unfinished demo", "leave out --resume")
    if path.read_bytes() != config_text(config).encode():
        raise UserError(f"file {path}", "has another configuration", "resume with the same one, or give --force instead")


def config_text(config: FlowConfig) -> str:
    """Return what `CONFIG_FILE` holds; a demo is resumed only with the very same."""
    return json.dumps(config.model_dump(mode="json"), indent=1) + "\n"


def _train(inputs: _Inputs, folder: DemoFolder, stages: Stages, *, force: bool) -> tuple[QuantizedModel, ReferenceEquivalence]:
    """Train dense, prune gradually, then quantise, each phase starting from the one before; export, and compare with the reference."""
    config = inputs.config
    start_from: Path | None = None
    for phase, settings in zip(PHASES, (config.dense, config.prune, config.qat), strict=True):
        start_from = _run_phase(phase, settings, inputs.dataset, folder, start_from, stages)
    with stages.stage("export") as said:
        model = export_checkpoint(folder.checkpoint("quantised"))
        model.save(folder.model, force=force)
        said.append(f"model {model.content_hash()[:12]}")
    return model, _compare(inputs, folder, model, stages)


def _take(pretrained: Pretrained, inputs: _Inputs, folder: DemoFolder, stages: Stages) -> QuantizedModel:
    """Put a pretrained model where an exported one goes, and beside it the text in its vocabulary, where the text's own is another."""
    with stages.stage("pretrained") as said:
        pretrained.model.save(folder.model)
        said.append(f"model {pretrained.model.content_hash()[:12]}, trained on {pretrained.record.where}")
        if inputs.unknown is not None:
            write_text(inputs.dataset, folder.text)
            said.append(f"{inputs.unknown} unknown symbols left out of the text")
    return pretrained.model


def _run_phase(
    phase: str, settings: TrainConfig, dataset: TextDataset, folder: DemoFolder, start_from: Path | None, stages: Stages
) -> Path:
    place = folder.checkpoint(phase)
    with words_to_stderr():
        # In a fresh folder there is nothing to resume, so this is right with and without --resume.
        metrics = run_phase(settings, dataset, place, start_from, resume=True)
    result = f"{metrics['validation_bits']:.3f} bits per symbol, event density {metrics['event_density']:.3f}"
    # The phase's own clock: it also knows the time spent before it was stopped and resumed.
    stages.done(f"train_{phase}", metrics["seconds"], f"{result}, weight density {metrics['weight_density']:.3f}")
    return place


def _compare(inputs: _Inputs, folder: DemoFolder, model: QuantizedModel, stages: Stages) -> ReferenceEquivalence:
    with stages.stage("fake_quant_vs_reference") as said, working("comparing with the reference"), words_to_stderr():
        found = compare_checkpoint(folder.checkpoint("quantised"), inputs.dataset, model, folder.root / "mismatch")
        said.append(f"{found.steps:,} steps, {found.events:,} events, {found.mismatches} mismatches")
    return found


def compare_checkpoint(quantised: Path, dataset: TextDataset, model: QuantizedModel, failure_folder: Path) -> ReferenceEquivalence:
    """Run a quantised checkpoint and the model exported from it over held-out text, and compare with ==.

    Args:
        quantised: The checkpoint.
        dataset: The text.
        model: What was exported.
        failure_folder: Where the first failing step is saved.

    Raises:
        CheckFailedError: When they differ.
    """
    tokens = deal(dataset.test, COMPARED_STREAMS)[:, :COMPARED_STEPS]
    found = compare_with_reference(checkpoint.load(quantised).network(), tokens, model=model, failure_folder=failure_folder)
    if found.mismatches:
        raise CheckFailedError(
            f"fake-quantised network and reference differ in {found.mismatches} of {found.values} values; first case saved in {found.saved}"
        )
    return ReferenceEquivalence(steps=found.steps, events=found.events, mismatches=found.mismatches)


def _measure(inputs: _Inputs, folder: DemoFolder, model: QuantizedModel, stages: Stages) -> tuple[ModelMeasurement, Quality]:
    dataset = inputs.dataset
    with stages.stage("evaluation") as said:
        measured = measure_model(model, dataset.test)
        order = ngram.DEFAULT_ORDER[dataset.unit]
        here = {"quantised": measured.evaluation.bits_per_symbol, "baseline": ngram.bits_per_symbol(dataset, order)}
        if inputs.pretrained is None:
            dense, pruned = (evaluate_checkpoint(folder.checkpoint(phase), dataset).bits_per_symbol for phase in PHASES[:2])
            figures = quality_summary(dataset.unit, dense=dense, pruned=pruned, order=order, **here)
        else:
            recorded = inputs.pretrained.record.model.quality
            measured_here = {name: quality(bits, dataset.unit) for name, bits in here.items()}
            figures = recorded.model_copy(update={"baseline_order": order, **measured_here})
        said.append(f"{figures.metric}: float {figures.float_:.3f}, quantised {figures.quantised:.3f}, {order}-gram {figures.baseline:.3f}")
    return measured, figures


def _prove_build_measure(
    inputs: _Inputs, folder: DemoFolder, model: QuantizedModel, stages: Stages, *, force: bool
) -> tuple[dict[str, Any], BuildResult | None, ModelMeasurement, Quality]:
    """Build here; meanwhile simulate in a process of its own, then evaluate in a thread: nextpnr leaves a core idle."""

    def prove_and_measure(process: subprocess.Popen[str]) -> tuple[dict[str, Any], ModelMeasurement, Quality]:
        return _simulation_result(process, folder, stages), *_measure(inputs, folder, model, stages)

    # The simulation is left, and so ended, before the thread that waits for it.
    with ThreadPoolExecutor(1) as pool, _simulation(inputs, folder, force=force) as process:
        meanwhile = pool.submit(prove_and_measure, process)
        built = None if inputs.board is None else _build(inputs.config.build, inputs.board, folder, stages, force=force)
        with working("simulating and evaluating"):
            simulated, measured, figures = meanwhile.result()
    return simulated, built, measured, figures


def _build(settings: BuildConfig, board: Board, folder: DemoFolder, stages: Stages, *, force: bool) -> BuildResult:
    with stages.stage("build") as said:
        built = build(folder.rtl, board, folder.build, seeds=settings.seeds, clock_mhz=settings.clock_mhz, jobs=settings.jobs, force=force)
        said.append(f"{built.lut:,} LUT, {built.bram} block RAMs, {built.dsp} DSPs, {built.fmax_mhz:.1f} MHz")
    stages.seconds |= {f"build_{name}": seconds for name, seconds in built.seconds.items()}
    return built


@contextmanager
def _simulation(inputs: _Inputs, folder: DemoFolder, *, force: bool) -> Iterator[subprocess.Popen[str]]:
    """Start `egru simulate`, as a user would call it; a process because cocotb's runner changes the environment of its own."""
    settings, text = inputs.config.simulation, inputs.config.data.source if inputs.unknown is None else folder.text
    options = {"steps": settings.steps, "sequences": settings.sequences, "seed": settings.seed, "data": text}
    options |= {"idle": settings.idle.value, "back-pressure": settings.back_pressure.value, "out": folder.simulation}
    arguments = [f"--{name}={value}" for name, value in options.items() if value is not None] + ["--json"] + (["--force"] if force else [])
    command = [sys.executable, "-m", "egru", "simulate", str(folder.rtl), *arguments]
    # A session of its own, so that an early end takes the simulator with it.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield process
    except BaseException:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        raise


def _simulation_result(process: subprocess.Popen[str], folder: DemoFolder, stages: Stages) -> dict[str, Any]:
    start = time.monotonic()
    _, words = process.communicate()
    if process.returncode != 0:
        reason = (words.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        raise CheckFailedError(f"egru simulate {folder.rtl}: {reason.removeprefix('check failed: ')}")
    result: dict[str, Any] = json.loads((folder.simulation / RESULT_FILE).read_text())
    said = f"{result['steps']:,} steps, {result['events']:,} events, {result['values']:,} values, {result['mismatches']} mismatches"
    stages.done("rtl_vs_reference", time.monotonic() - start, said)
    return result


def _text_summary(inputs: _Inputs) -> TextSummary:
    dataset, sizes = inputs.dataset, {"train": len(inputs.dataset.train), "test": len(inputs.dataset.test)}
    return TextSummary(name=dataset.name, unit=dataset.unit, vocabulary=len(dataset.vocabulary), unknown=inputs.unknown or 0, **sizes)
