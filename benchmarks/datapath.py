"""Clock cycles of the generated datapath against its bound, by RTL simulation: ``python -m benchmarks.datapath`` (``make bench-datapath``).

Every case is simulated twice, on the first ``warm_up`` steps of its tokens and on all of them; the differences of the cycle counter and of
the hardware counters are what the steps in between cost in a running stream, with every handshake, queue, update and barrier in them. What
the first and the last step of a sequence cost beyond that stands in ``whole_run``. The simulation compares every event and logit with the
reference, so a figure of a core that computes something else is never written.

    occupancy     useful MACs ÷ (lanes × cycles), of the lanes of the measured layers (for a trained model of all, the decoder's included)
    law ratio     cycles ÷ (cycles of the dense case × weight density × event density); 1 where both sparsities are paid out in full
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from pydantic import BaseModel, ConfigDict

from benchmarks.datapath_model import ControlledSpec, DenseInputSpec, controlled_model, dense_input_model
from benchmarks.results_file import errors_to_exit_codes, read_results, require_results, write_results
from egru.artifacts import load_matching_text, text_info
from egru.output import print_json, progress_bar, progress_console, words_to_stderr
from egru.tools import require_tools
from hls_gen.cycle_model import predict, record_activity
from hls_gen.hardware_config import HardwareConfig
from hls_gen.manifest import hash_files
from hls_gen.rtl_backend import write
from sim.build_cache import PACKAGE_ROOT
from sim.equivalence import check_equivalence
from sw_model.datasets import EMBEDDED
from sw_model.errors import UserError
from sw_model.output_folder import write_whole
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import BatchedReference

RESULT_FILE = Path("benchmarks/results/datapath.json")
DENSE = "dense"
TRAINED = "trained"
OCCUPANCY_SHAPES = ((1024, 16), (1024, 64), (256, 16))  # units, lanes
WEIGHT_DENSITIES = (1.0, 0.5, 0.2, 0.1, 0.05)
EVENT_DENSITIES = (0.5, 0.2, 0.1, 0.05)
CYCLE_BUDGET = 80_000  # simulated cycles of a case, if that gives between MIN_STEPS and MAX_STEPS
MIN_STEPS, MAX_STEPS = 4, 128
WARM_UP = 2  # the first step has no events of its own to walk
TRAINED_STEPS = 128


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes:
        name: As in the results and for ``--only``.
        model: What to build, or the model itself.
        lanes: Of each layer, then of the decoder.
        measured: Blocks whose lanes, MACs and densities count, by number; the decoder is the last block.
        tokens: One sequence.
        warm_up: Steps that come before the measured ones.
        engines: Whether the layers share their lanes, see `hls_gen.hardware_config.HardwareConfig`.
        layers: Layers whose sizes and densities are reported, by number; those of the measured blocks if not given.
    """

    name: str
    model: ControlledSpec | DenseInputSpec | QuantizedModel
    lanes: tuple[int, ...]
    measured: tuple[int, ...]
    tokens: tuple[int, ...]
    warm_up: int = WARM_UP
    engines: Literal["per-layer", "shared"] = "per-layer"
    layers: tuple[int, ...] | None = None

    def build(self) -> QuantizedModel:
        """Return the model."""
        if isinstance(self.model, ControlledSpec):
            return controlled_model(self.model)
        return dense_input_model(self.model) if isinstance(self.model, DenseInputSpec) else self.model


class BlockRun(BaseModel):
    """Hardware counters of one layer or of the decoder."""

    model_config = ConfigDict(frozen=True)

    name: str
    lanes: int
    counters: dict[str, int]


class Run(BaseModel):
    """One finished simulation; it was equal to the reference."""

    model_config = ConfigDict(frozen=True)

    steps: int
    cycles: int
    values: int
    mismatches: int
    blocks: list[BlockRun]


class BlockResult(BaseModel):
    """Where the cycles of a block went; MACs, fetch and idle slots are lane-cycles, the other counters cycles, all per step."""

    model_config = ConfigDict(frozen=True)

    name: str
    lanes: int
    measured: bool
    per_step: dict[str, float]


class WholeRun(BaseModel):
    """The longer simulation from the first token to the last logit, with the start and the end of the sequence."""

    model_config = ConfigDict(frozen=True)

    steps: int
    cycles: int
    occupancy: float


class CaseResult(BaseModel):
    """One entry of ``cases``.

    Attributes:
        name: Of the case.
        units: Neurons of the measured layers, all together.
        layers: Neurons of each measured layer.
        lanes: Lanes of the measured blocks, all together.
        weight_density: Share of non-zero weights in the measured layers.
        event_density: Share of their neurons that fired, over the steps whose events were walked.
        steps: Measured steps.
        cycles_per_step: Clock cycles of a step in a running stream.
        predicted_cycles_per_step: The same by `hls_gen.cycle_model`, without a simulation.
        macs_per_step: Of the measured blocks.
        occupancy: MACs ÷ (lanes × cycles).
        law_ratio: See the module; None where the dense case is another network.
        mismatches: Values that differed from the reference.
        values: Values compared.
        hardware: Hardware configuration.
        blocks: Every block's counters.
        whole_run: The figures with start and end of the sequence.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    units: int
    layers: list[int]
    lanes: int
    weight_density: float
    event_density: float
    steps: int
    cycles_per_step: float
    predicted_cycles_per_step: float
    macs_per_step: float
    occupancy: float
    law_ratio: float | None = None
    mismatches: int
    values: int
    hardware: dict[str, Any]
    blocks: list[BlockResult]
    whole_run: WholeRun


class Results(BaseModel):
    """The result file.

    Attributes:
        generator: Hash of everything that RTL is generated from; cases of another generator are not kept beside new ones.
        cases: The measurements.
        skipped: Name of each case that was not measured, and why.
        place_and_route: Resources and clock; written by another benchmark and kept here.
    """

    generator: str
    cases: list[CaseResult]
    skipped: dict[str, str]
    place_and_route: list[dict[str, Any]] = []


def synthetic_cases() -> list[Case]:
    """Return the cases with chosen densities."""
    grid = [
        _controlled(law_name(d, a), 1024, 16, _steps(1024, 16, d, a), weights=d, events=a)
        for d in WEIGHT_DENSITIES
        for a in EVENT_DENSITIES
    ]
    small = DenseInputSpec(inputs=8, units=(16, 16), steps=WARM_UP + MAX_STEPS)
    return [
        *(_controlled(f"occupancy-{units}-{lanes}", units, lanes, _steps(units, lanes, 0.1, 0.1)) for units, lanes in OCCUPANCY_SHAPES),
        Case("two-layers-16", small, (4, 4, 4, 1), (1, 2), tuple(range(small.steps))),
        # The first layer, which plays the inputs, has no weights: all MACs of the shared lanes are those of the two layers behind it.
        Case("two-layers-16-shared", small, (8, 1), (0,), tuple(range(small.steps)), engines="shared", layers=(1, 2)),
        # All events of the first step are walked in the second, so one measured step is a dense step.
        _controlled(DENSE, 1024, 16, 2, weights=1.0, events=1.0, warm_up=1),
        *grid,
    ]


def law_name(weight_density: float, event_density: float) -> str:
    """Return the name of a case of the law's grid."""
    return f"law-d{weight_density:g}-a{event_density:g}"


def trained_case(artifact: Path, data: str | None, lanes: int) -> Case:
    """Return the case of an exported model on held-out text, or on random tokens where it knows no text.

    Raises:
        UserError: When artifact or text will not do.
    """
    model = QuantizedModel.load(artifact)
    info = text_info(model)
    if info is not None and (data is not None or info.name == EMBEDDED):
        tokens = load_matching_text(info, data).test[: WARM_UP + TRAINED_STEPS]
    else:
        tokens = np.random.default_rng(1).integers(model.tokens, size=WARM_UP + TRAINED_STEPS)
    rows = [*(layer.neurons for layer in model.layers), model.classes]
    blocks = tuple(range(len(rows)))
    return Case(TRAINED, model, tuple(min(lanes, count) for count in rows), blocks, tuple(map(int, tokens)))


def measure(case: Case, work: Path) -> CaseResult:
    """Simulate ``case``, or take its simulations from the cache in ``work``.

    Raises:
        BenchError: When the core differs from the reference.
        UserError: When the model does not fit the configuration.
    """
    model, config = case.build(), HardwareConfig(lanes=case.lanes, engines=case.engines)
    folder = work / "generated" / case.name  # two benchmarks may run side by side
    write(model, config, folder, force=True)
    content = _content_hash(folder)
    first, last = (_simulate(folder, content, case.tokens[:steps], work) for steps in (case.warm_up, len(case.tokens)))
    steps, cycles = last.steps - first.steps, last.cycles - first.cycles
    lanes = sum(last.blocks[index].lanes for index in case.measured)
    macs = sum(last.blocks[index].counters["macs"] - first.blocks[index].counters["macs"] for index in case.measured)
    layers = list(case.layers or (index for index in case.measured if index < len(model.layers)))
    return CaseResult(
        name=case.name,
        units=sum(model.layers[index].neurons for index in layers),
        layers=[model.layers[index].neurons for index in layers],
        lanes=lanes,
        weight_density=_weight_density(model, layers),
        event_density=_event_density(model, layers, case),
        steps=steps,
        cycles_per_step=cycles / steps,
        predicted_cycles_per_step=_predicted_cycles(model, config, case) / steps,
        macs_per_step=macs / steps,
        occupancy=macs / (lanes * cycles),
        mismatches=first.mismatches + last.mismatches,
        values=first.values + last.values,
        hardware=config.model_dump(mode="json"),
        blocks=[
            BlockResult(
                name=block.name,
                lanes=block.lanes,
                measured=index in case.measured,
                per_step={name: (count - before.counters[name]) / steps for name, count in block.counters.items()},
            )
            for index, (before, block) in enumerate(zip(first.blocks, last.blocks, strict=True))
        ],
        whole_run=WholeRun(
            steps=last.steps,
            cycles=last.cycles,
            occupancy=sum(last.blocks[index].counters["macs"] for index in case.measured) / (lanes * last.cycles),
        ),
    )


def with_law_ratios(cases: Sequence[CaseResult]) -> list[CaseResult]:
    """Compare the cycles of every case with those of the dense one, where units and lanes are the same."""
    dense = next((case for case in cases if case.name == DENSE), None)
    return [case.model_copy(update={"law_ratio": _law_ratio(case, dense)}) for case in cases]


def run(
    only: Annotated[list[str] | None, typer.Option(help="Case to run, or a pattern such as 'law-*'; may be repeated.")] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of an exported model: the trained case.")] = None,
    data: Annotated[str | None, typer.Option(help="Text that it was trained on, where that is not the embedded one.")] = None,
    lanes: Annotated[int, typer.Option(help="Lanes of each of its layers.", min=1)] = 16,
    out: Annotated[Path, typer.Option(help="Result file.")] = RESULT_FILE,
    work: Annotated[Path, typer.Option(help="Folder for generated RTL and finished simulations.")] = Path("runs/datapath"),
    as_json: Annotated[bool, typer.Option("--json", help="Write the results to stdout as well.")] = False,
    report: Annotated[Path | None, typer.Option(help="Only write the table and plot of the result file into this folder.")] = None,
) -> None:
    """Measure the datapath in clock cycles, or report what was measured."""
    with errors_to_exit_codes():
        if report is not None:
            _report(out, report)
            return
        results = _run(only or ["*"], model, data, lanes, out, work)
        if as_json:
            print_json(results.model_dump(mode="json"))


def _run(only: Sequence[str], artifact: Path | None, data: str | None, lanes: int, out: Path, work: Path) -> Results:
    require_tools()
    cases = synthetic_cases()
    known = [*(case.name for case in cases), TRAINED]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise UserError(f"--only {pattern}", f"names none of {', '.join(known)}", "choose one of them")
    chosen = [case for case in cases if any(fnmatchcase(case.name, pattern) for pattern in only)]
    skipped = {}
    if any(fnmatchcase(TRAINED, pattern) for pattern in only):
        if artifact is None:
            skipped[TRAINED] = "no exported model was given with --model"
        else:
            chosen.append(trained_case(artifact, data, lanes))
    results = _kept(out, {case.name for case in cases} | {TRAINED}).model_copy(update={"skipped": skipped})
    order = {name: place for place, name in enumerate(known)}
    for case, found in _measured(chosen, work):
        others = [other for other in results.cases if other.name != case.name]
        ratios = with_law_ratios(sorted([*others, found], key=lambda result: order[result.name]))
        results = results.model_copy(update={"cases": ratios})
        write_results(results, out)
    return results


def _measured(cases: Sequence[Case], work: Path) -> Iterator[tuple[Case, CaseResult]]:
    with progress_bar() as bar:
        task = bar.add_task("", total=len(cases))
        for case in cases:
            bar.update(task, description=case.name)
            with words_to_stderr():
                found = measure(case, work)
            bar.advance(task)
            words = f"{case.name}: {found.cycles_per_step:.1f} cycles per step, occupancy {found.occupancy:.3f}"
            progress_console.print(words, soft_wrap=True, highlight=False)
            yield case, found


def _kept(out: Path, names: set[str]) -> Results:
    """Return what of an earlier result file still holds."""
    generator, old = _generator_hash(), read_results(out, Results)
    if old is None:
        return Results(generator=generator, cases=[], skipped={})
    if old.generator != generator and old.cases:
        progress_console.print(f"the cases in {out} are of another generator and are not kept", soft_wrap=True)
        return old.model_copy(update={"generator": generator, "cases": []})
    return old.model_copy(update={"cases": [case for case in old.cases if case.name in names]})


def _report(results: Path, folder: Path) -> None:
    from benchmarks.datapath_report import plot, table

    found = require_results(results, Results)
    write_whole(folder / "datapath_results.svg", plot(found))
    write_whole(folder / "datapath_results.md", table(found, "datapath_results.svg"))


def _controlled(
    name: str, units: int, lanes: int, steps: int, *, weights: float = 0.1, events: float = 0.1, warm_up: int = WARM_UP
) -> Case:
    spec = ControlledSpec(units=units, weight_density=weights, event_density=events, steps=steps)
    return Case(name, spec, (lanes, 1), (0,), tuple(range(steps)), warm_up)


def _steps(units: int, lanes: int, weights: float, events: float) -> int:
    bound = 3 * units * units * weights * events / lanes
    return WARM_UP + min(max(round(CYCLE_BUDGET / bound), MIN_STEPS), MAX_STEPS)


def _simulate(generated: Path, content: str, tokens: Sequence[int], work: Path) -> Run:
    """Simulate, unless the same RTL has seen the same tokens before."""
    key = hashlib.sha256(f"{content} {list(tokens)}".encode()).hexdigest()[:24]
    cached = work / "finished" / f"{key}.json"
    if cached.is_file():
        return Run.model_validate_json(cached.read_text())
    found = check_equivalence(generated, [tokens], run_dir=work / "run" / generated.name)
    blocks = [BlockRun(name=block.name, lanes=block.lanes, counters=block.counters) for block in found.blocks]
    finished = Run(steps=found.steps, cycles=found.cycles, values=found.values, mismatches=found.mismatches, blocks=blocks)
    write_whole(cached, finished.model_dump_json())
    return finished


def _weight_density(model: QuantizedModel, layers: Sequence[int]) -> float:
    matrices = [matrix for index in layers for matrix in (model.layers[index].input_weight, model.layers[index].recurrent_weight)]
    return sum(int(np.count_nonzero(matrix)) for matrix in matrices) / sum(matrix.size for matrix in matrices)


def _event_density(model: QuantizedModel, layers: Sequence[int], case: Case) -> float:
    """Return the events of the steps before each measured one: a layer walks its own events one step later."""
    steps = list(BatchedReference(model).run(np.array([case.tokens])))[case.warm_up - 1 : -1]
    events = sum(int(step.fired[index].sum()) for step in steps for index in layers)
    return events / (len(steps) * sum(model.layers[index].neurons for index in layers))


def _law_ratio(case: CaseResult, dense: CaseResult | None) -> float | None:
    if dense is None or (case.layers, case.lanes) != (dense.layers, dense.lanes):
        return None
    dense_cycles = dense.cycles_per_step / (dense.weight_density * dense.event_density)
    return case.cycles_per_step / (dense_cycles * case.weight_density * case.event_density)


def _predicted_cycles(model: QuantizedModel, config: HardwareConfig, case: Case) -> int:
    """Return the cycles of the measured steps as the cycle model has them: those of the long run without those of the short one."""
    first, last = (predict(model, config, record_activity(model, [case.tokens[:steps]])) for steps in (case.warm_up, len(case.tokens)))
    return last.cycles - first.cycles


def _content_hash(generated: Path) -> str:
    return hash_files(generated, [*(generated / "rtl").iterdir(), *(generated / "mem").iterdir()])


def _generator_hash() -> str:
    sources = [*(PACKAGE_ROOT / "hls_gen").rglob("*.py"), *(PACKAGE_ROOT / "rtl_templates").rglob("*.sv*")]
    return hash_files(PACKAGE_ROOT, sources)[:16]


if __name__ == "__main__":
    typer.run(run)
