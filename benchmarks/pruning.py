"""Quality and clock cycles of every pruning method on one task: ``python -m benchmarks.pruning``.

All methods start from the same dense network, are pruned to the same sparsity by the same schedule, fine-tuned and quantised to 8 bits with
one seed. Then their cores, with the same lanes and the packing and entry format that fit the method, read the same held-out text; each is
compared with the reference event for event and logit for logit, so a figure of a core that computes something else is never written.

The trained networks are kept under ``--work`` and used again by the next run, until their settings change; delete the folder to train anew.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic import BaseModel, ConfigDict

from benchmarks.results_file import errors_to_exit_codes, require_results, write_results
from egru.artifacts import deal_sequences
from egru.measure import measure_model
from egru.output import progress_bar, progress_console, words_to_stderr
from egru.tools import require_tools
from hls_gen.hardware_config import HardwareConfig
from hls_gen.rtl_backend import write
from sim.equivalence import check_equivalence
from sw_model.datasets import TextDataset, load_text
from sw_model.errors import UserError
from sw_model.export import export_checkpoint
from sw_model.macs import layer_weight_densities
from sw_model.output_folder import write_whole
from sw_model.pruning_config import Method, PruningStructure
from sw_model.quantized_model import QuantizedModel
from sw_model.train import evaluate_checkpoint, run_phase
from sw_model.train_config import TrainConfig

RESULT_FILE = Path("benchmarks/results/pruning.json")
WORK = Path("build/pruning")
METHODS: tuple[Method, ...] = get_args(Method)
TRAINED_FILE = "trained.json"


@dataclass(frozen=True)
class Task:
    """What all methods have in common.

    Attributes:
        hidden: Neurons per layer.
        steps: Optimiser steps: dense, pruning with fine-tuning, QAT.
        n_of_m: For N:M; the sparsity of all methods follows from it.
        lanes: Of each layer, then of the decoder.
        simulated: Time steps that the RTL is shown.
    """

    hidden: tuple[int, ...] = (128, 128)
    steps: tuple[int, int, int] = (900, 800, 100)
    n_of_m: tuple[int, int] = (1, 8)
    lanes: tuple[int, ...] = (8, 8, 4)
    simulated: int = 400

    @property
    def sparsity(self) -> float:
        """Share of zero weights."""
        return 1.0 - self.n_of_m[0] / self.n_of_m[1]


FULL = Task()
QUICK = Task(hidden=(16, 16), steps=(4, 4, 2), n_of_m=(1, 4), lanes=(2, 2, 2), simulated=20)


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trained(_Result):
    """What became of the network.

    Attributes:
        structure: Pruning method and its settings.
        float_bits: Bits per character of the pruned float network on the test split.
        quantised_bits: The same of the exported integers.
        weight_density: Share of non-zero integers among the weights that cost MACs.
        layer_densities: The same per layer, without the decoder.
        event_density: Events per neuron and step.
        macs_per_step: Dense, weight-sparse, weight- and event-sparse, with the decoder.
        train_seconds: Pruning and QAT.
    """

    structure: PruningStructure
    float_bits: float
    quantised_bits: float
    weight_density: float
    layer_densities: list[float]
    event_density: float
    macs_per_step: dict[str, float]
    train_seconds: float


class BlockCycles(_Result):
    """One layer or the decoder; ``occupancy`` is the share of its lane-cycles that did a MAC."""

    name: str
    lanes: int
    occupancy: float
    counters: dict[str, int]


class Cycles(_Result):
    """What the RTL needed.

    Attributes:
        hardware: Its configuration.
        steps: Time steps of held-out text, in one sequence.
        mismatches: Values that differed from the reference.
        values: Values compared.
        cycles_per_step: Clock cycles, all counted.
        dense_cycles_per_step: The dense MACs on the same lanes, were every lane always busy.
        occupancy: Share of all lane-cycles that did a MAC.
        blocks: Per layer, then the decoder.
    """

    hardware: dict[str, Any]
    steps: int
    mismatches: int
    values: int
    cycles_per_step: float
    dense_cycles_per_step: float
    occupancy: float
    blocks: list[BlockCycles]


class Case(_Result):
    """One method."""

    trained: Trained
    cycles: Cycles


class Results(_Result):
    """The result file."""

    text: str
    hidden: list[int]
    sparsity: float
    dense_float_bits: float
    cases: list[Case]


def structure_of(method: Method, task: Task) -> PruningStructure:
    """Return a method with its settings."""
    match method:
        case "column-balanced":
            return PruningStructure(method=method, lanes=task.lanes)
        case "n-m":
            return PruningStructure(method=method, n_of_m=task.n_of_m)
    return PruningStructure(method=method)


def hardware_of(method: Method, task: Task) -> HardwareConfig:
    """Return the hardware that fits a method: the same lanes, with the packing and the entries that its structure is made for."""
    packing = "interleaved" if method == "column-balanced" else "load"
    entry_format = "gate-group" if method == "gate-group" else "single"
    return HardwareConfig.model_validate({"lanes": task.lanes, "counter_bits": 32, "packing": packing, "entry_format": entry_format})


def phases(method: Method, task: Task) -> tuple[TrainConfig, TrainConfig, TrainConfig]:
    """Return the dense phase, which is the same for all methods, pruning and QAT."""
    common: dict[str, Any] = {
        "streams": 64,
        "chunk": 16,
        "betas": (0.0, 0.999),
        "gradient_clip": 0.2,
        "validate_every": 100,
        "checkpoint_every": 0,
        "seed": 1,
    }
    network = {"hidden_sizes": task.hidden, "threshold_mean": 0.1, "learn_thresholds": True, "update_bias": 1.0}
    network |= {"surrogate_damp": 0.15, "surrogate_support": 1.0}
    sparse = common | {"activity": {"target": 0.2, "weight": 1.0}, "max_event_density": 0.3}
    pruning = structure_of(method, task).model_dump() | {"sparsity": task.sparsity, "end_step": task.steps[1] // 2}
    return (
        TrainConfig.model_validate(common | {"steps": task.steps[0], "learning_rate": 7e-3, "network": network}),
        TrainConfig.model_validate(sparse | {"steps": task.steps[1], "learning_rate": 5e-3, "pruning": pruning}),
        TrainConfig.model_validate(sparse | {"steps": task.steps[2], "learning_rate": 1e-3, "quantization": {"weight_bits": 8}}),
    )


def train(method: Method, task: Task, dataset: TextDataset, work: Path, *, progress: bool = True) -> tuple[Trained, Path]:
    """Train, or take from ``work`` what was trained there with the same settings.

    Returns:
        The figures, and the checkpoint of the quantised network.
    """
    config = phases(method, task)
    names = ("dense", f"{method}-pruned", f"{method}-quantised")
    folders = [_place(work, name, dataset, config[: index + 1]) for index, name in enumerate(names)]
    file = folders[2].with_suffix(f".{TRAINED_FILE}")
    if file.is_file():
        return Trained.model_validate_json(file.read_text()), folders[2]
    with words_to_stderr():
        metrics = [
            run_phase(settings, dataset, folder, start_from, resume=True, progress=progress)
            for settings, folder, start_from in zip(config, folders, (None, *folders), strict=False)
        ]
    model = export_checkpoint(folders[2])
    measured = measure_model(model, dataset.test)
    macs = measured.macs.with_decoder
    trained = Trained(
        structure=structure_of(method, task),
        float_bits=evaluate_checkpoint(folders[1], dataset).bits_per_symbol,
        quantised_bits=measured.evaluation.bits_per_symbol,
        weight_density=macs.weight_sparse / macs.dense,
        layer_densities=layer_weight_densities(model),
        event_density=measured.evaluation.total_event_density,
        macs_per_step={"dense": macs.dense, "weight_sparse": macs.weight_sparse, "event_sparse": macs.event_sparse},
        train_seconds=metrics[1]["seconds"] + metrics[2]["seconds"],
    )
    write_whole(file, trained.model_dump_json(indent=1))
    return trained, folders[2]


def simulate(trained: Trained, model: QuantizedModel, task: Task, tokens: Sequence[int], work: Path) -> Cycles:
    """Generate the core of a trained network and run it against the reference.

    Raises:
        BenchError: When the core differs from the reference.
        UserError: When the model does not fit the hardware.
    """
    hardware = hardware_of(trained.structure.method, task)
    write(model, hardware, work / "rtl", force=True)
    found = check_equivalence(work / "rtl", [tokens], run_dir=work / "run")
    return Cycles(
        hardware=hardware.model_dump(mode="json"),
        steps=found.steps,
        mismatches=found.mismatches,
        values=found.values,
        cycles_per_step=found.cycles_per_step,
        dense_cycles_per_step=trained.macs_per_step["dense"] / found.lanes,
        occupancy=found.occupancy,
        blocks=[
            BlockCycles(
                name=block.name,
                lanes=block.lanes,
                occupancy=block.counters["macs"] / (block.lanes * found.cycles),
                counters=block.counters,
            )
            for block in found.blocks
        ],
    )


def table(results: Results) -> str:
    """Write the results as a Markdown table, for docs/pruning.md."""
    lines = [
        "| method | bits per character, float | integer | weight density | event density | MACs per step | cycles per step | occupancy |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in results.cases:
        found, cycles = case.trained, case.cycles
        figures = (
            f"{found.float_bits:.3f}",
            f"{found.quantised_bits:.3f}",
            f"{found.weight_density:.3f}",
            f"{found.event_density:.3f}",
            f"{found.macs_per_step['event_sparse']:,.0f}",
            f"{cycles.cycles_per_step:,.1f}",
            f"{cycles.occupancy:.2f} ({', '.join(f'{block.occupancy:.2f}' for block in cycles.blocks)})",
        )
        lines.append(" | ".join((f"| `{found.structure.method}`", *figures)) + " |")
    return "\n".join(lines)


def run(
    only: Annotated[list[str] | None, typer.Option(help="Train this method only, and simulate none; may be repeated.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A network of no use, to see that all parts work together.")] = False,
    train_only: Annotated[bool, typer.Option("--train-only", help="Train what is not trained yet and stop.")] = False,
    out: Annotated[Path | None, typer.Option(help=f"Result file; {RESULT_FILE}, or under --work with --quick.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for trained networks and generated RTL.")] = WORK,
    as_table: Annotated[bool, typer.Option("--table", help="Only show the result file as a Markdown table.")] = False,
) -> None:
    """Measure every pruning method, in bits per character and in clock cycles."""
    out = out or (work / "quick.json" if quick else RESULT_FILE)
    with errors_to_exit_codes():
        if as_table:
            print(table(require_results(out, Results)))
            return
        _measure(_chosen(only), QUICK if quick else FULL, out, work, simulated=not (train_only or only))


def _chosen(only: list[str] | None) -> tuple[Method, ...]:
    for name in only or ():
        if name not in METHODS:
            raise UserError(f"--only {name}", "is no pruning method", f"choose among {', '.join(METHODS)}")
    return tuple(method for method in METHODS if not only or method in only)


def _measure(methods: Sequence[Method], task: Task, out: Path, work: Path, *, simulated: bool) -> None:
    if simulated:
        require_tools()
    dataset = load_text()
    networks = []
    for method in methods:
        networks.append(train(method, task, dataset, work))
        found = networks[-1][0]
        words = f"{method}: {found.float_bits:.3f} bits per character, {found.quantised_bits:.3f} as integers"
        progress_console.print(f"{words}, event density {found.event_density:.3f}", soft_wrap=True, highlight=False)
    if not simulated:
        return
    (tokens,) = deal_sequences(dataset.test, task.simulated, 1)
    cases = []
    with progress_bar() as bar:
        for trained, folder in bar.track(networks, description="simulating"):
            with words_to_stderr():
                cycles = simulate(trained, export_checkpoint(folder), task, tokens, work)
            cases.append(Case(trained=trained, cycles=cycles))
            words = f"{trained.structure.method}: {cycles.cycles_per_step:.1f} cycles per step, occupancy {cycles.occupancy:.3f}"
            progress_console.print(words, soft_wrap=True, highlight=False)
    dense = _place(work, "dense", dataset, phases("global", task)[:1])
    results = Results(
        text=dataset.name,
        hidden=list(task.hidden),
        sparsity=task.sparsity,
        dense_float_bits=evaluate_checkpoint(dense, dataset).bits_per_symbol,
        cases=cases,
    )
    write_results(results, out)


def _place(work: Path, name: str, dataset: TextDataset, config: Sequence[TrainConfig]) -> Path:
    """Name a checkpoint by all that it was trained with."""
    content = [dataset.name, len(dataset.train), *(phase.model_dump(mode="json") for phase in config)]
    return work / f"{name}-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]}"


if __name__ == "__main__":
    typer.run(run)
