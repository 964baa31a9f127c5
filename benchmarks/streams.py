"""Networks of feature streams, collected from their folders and reported: ``python -m benchmarks.streams --runs RUNS --report docs``.

A folder RUNS holds, and nothing else is read there:

    DATASET/CELL-DENSITY-BITS/seedN.json         what `benchmarks.streams_training` wrote, or `benchmarks.gru_baseline`; BITS 32: float
    DATASET/CELL-DENSITY-BITS/seedN-model/       the exported model of a quantised network
    DATASET/CELL-DENSITY-BITS/BOARD/rtl/         ``egru generate`` of one of these models
    DATASET/CELL-DENSITY-BITS/BOARD/simulation/  ``egru simulate`` of it
    DATASET/CELL-DENSITY-BITS/BOARD/build/       ``egru build`` of it
    DATASET/CELL-DENSITY-BITS/hls/source/        ``egru generate --backend hls`` of one of these models
    DATASET/CELL-DENSITY-BITS/hls/simulation/    ``egru simulate`` of it

Every file must belong to its place: records to folder, seed and data set, models and generated hardware to records by their content hash,
simulations and builds to that hardware by its memory images. A run replaces the one of the same data set, cell, density and bits.
"""

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ConfigDict

from benchmarks.gru_baseline import GruRecord
from benchmarks.results_file import errors_to_exit_codes, read_results, require_results, write_results
from benchmarks.streams_report import page
from benchmarks.streams_results import (
    ASSUMED_FRAME_RATES,
    ENTRY,
    FLOAT_BITS,
    HardwareFigures,
    HlsFigures,
    Results,
    StreamRecord,
    StreamRun,
    entry_name,
)
from benchmarks.streams_targets import targets
from egru.artifacts import read_generated
from egru.output import progress_console
from egru.place_and_route import RESULT_FILE as BUILD_FILE
from egru.simulation import RESULT_FILE as SIMULATION_FILE
from hls_gen.backend import Backend
from hls_gen.board import load_board
from hls_gen.rtl_backend import MEMORY_FOLDER
from sw_model.errors import UserError
from sw_model.feature_sources import load_features
from sw_model.output_folder import write_whole
from sw_model.quantized_model import QuantizedModel

RESULT_FILE = Path("benchmarks/results/streams.json")
PAGE = "streams_results.md"
RTL, SIMULATION, BUILD = "rtl", "simulation", "build"
HLS, SOURCE = "hls", "source"
#: By which a density may be above what was asked for; what quantisation rounds to zero makes it less.
DENSITY_ROUNDING = 0.005

RecordT = TypeVar("RecordT", StreamRecord, GruRecord)


class Decided(BaseModel):
    """What is read of the decisions in a simulation's file."""

    model_config = ConfigDict(frozen=True)

    decisions: int
    accuracy: float


class Simulated(BaseModel):
    """What is read of a simulation's file."""

    model_config = ConfigDict(frozen=True)

    backend: Backend

    timing: str
    lanes: int
    cycles_per_step: float
    steps: int
    values: int
    mismatches: int
    features: Decided


class Built(BaseModel):
    """What is read of a build's file."""

    model_config = ConfigDict(frozen=True)

    board: str
    fmax_mhz: float
    fmax_mhz_per_seed: dict[int, float]
    target_mhz: float
    lut: int
    ff: int
    bram: int
    dsp: int
    spram: int


def collect(runs: Path, digests: Mapping[str, str]) -> list[StreamRun]:
    """Read all runs of a folder.

    Args:
        runs: See the module's header.
        digests: Of data sets by their names; runs of these must have been measured on them.

    Raises:
        UserError: When a file is missing, damaged, or does not belong to its place.
    """
    found = []
    for folder in sorted(path for path in runs.glob("*/*") if path.is_dir()):
        name = ENTRY.fullmatch(folder.name)
        if name is None:
            raise UserError(f"folder {folder}", "is not named CELL-DENSITY-BITS", "name it e.g. egru-0.1-8, or move it away")
        found.append(_gru(folder) if name["cell"] == "gru" else _egru(folder))
    if not found:
        raise UserError(f"--runs {runs}", "holds no run", "train first")
    known: dict[str, StreamRun] = {}
    for run in found:
        first = known.setdefault(run.dataset, run)
        digest = digests.get(run.dataset, first.dataset_digest)
        if run.dataset_digest != digest:
            rule = f"was measured on another {run.dataset} than " + ("--data" if run.dataset in digests else "the other runs")
            raise UserError(f"run {entry_name(run.cell, run.weight_density, run.weight_bits)}", rule, "measure it again")
    return found


def _records(folder: Path, kind: type[RecordT]) -> list[tuple[int, Path, RecordT]]:
    """Read the records of a folder by seed, all of them of the data set that the folder above names."""
    files = {int(path.stem.removeprefix("seed")): path for path in folder.glob("seed*.json") if path.stem.removeprefix("seed").isdigit()}
    if not files:
        raise UserError(f"folder {folder}", "holds no seedN.json", "train first, or move it away")
    found = [(seed, path, require_results(path, kind, "measure it again")) for seed, path in sorted(files.items())]
    for _, path, record in found:
        _require(record.dataset == folder.parent.name, path, f"is of {record.dataset}, not of {folder.parent.name}")
        _require(record.dataset_digest == found[0][2].dataset_digest, path, f"was measured on other data than {found[0][1].name}")
    return found


def _egru(folder: Path) -> StreamRun:
    found = _records(folder, StreamRecord)
    for seed, path, record in found:
        expected = entry_name(record.cell, record.weight_density, record.weight_bits)
        _require((expected, record.seed) == (folder.name, seed), path, f"is of {expected}, seed {record.seed}")
        _require(record.recipe_digest == found[0][2].recipe_digest, path, f"was trained with another recipe than {found[0][1].name}")
        _require_sound(path, record)
    records = [record for _, _, record in found]
    first, evaluations = records[0], [record.evaluation for record in records]
    quantised = first.weight_bits != FLOAT_BITS
    macs = [one.macs_per_step["with_decoder"] for one in evaluations if one.macs_per_step is not None]
    hashes = [record.model_hash for record in records if record.model_hash is not None]
    frame_rate = first.frame_rate or ASSUMED_FRAME_RATES.get(first.dataset)
    hardware = [_hardware(path, hashes, frame_rate) for path in sorted(folder.iterdir()) if (path / RTL).is_dir()]
    return StreamRun(
        dataset=first.dataset,
        cell=first.cell,
        weight_density=first.weight_density,
        weight_bits=first.weight_bits,
        phase="qat" if quantised else "pruned" if first.weight_density < 1 else "float",
        **_accuracy([one.accuracy for one in evaluations]),
        seeds=[record.seed for record in records],
        event_density=statistics.fmean(one.event_density for one in evaluations),
        input_event_density=statistics.fmean(one.input_event_density for one in evaluations),
        measured_weight_density=statistics.fmean(one.weight_density for one in evaluations),
        macs_per_frame=statistics.fmean(one["event_sparse"] or 0.0 for one in macs) if macs else None,
        macs_dense=macs[0]["dense"] if macs else None,
        saturated_inputs=sum(one.saturated_inputs for one in evaluations),
        **{name: getattr(first, name) for name in ("parameters", "weights", "hidden_sizes", "recipe", "recipe_digest", "dataset_digest")},
        linear_baseline=first.evaluation.linear_baseline,
        model_hashes=hashes,
        digests=[one.digest for one in evaluations if one.digest is not None],
        equals_fake_quantised=all(record.equals_fake_quantised for record in records) if quantised else None,
        seconds=statistics.fmean(sum(phase.seconds for phase in record.phases) for record in records),
        trained_on=_joined(record.hardware for record in records),
        **_first_board(hardware),
        hls=_hls(folder / HLS, records) if (folder / HLS).is_dir() else None,
    )


def _require_sound(path: Path, record: StreamRecord) -> None:
    """Check that a record agrees with itself, and the exported model beside it with the record."""
    evaluation = record.evaluation
    right, all_ = sum(row[label] for label, row in enumerate(evaluation.confusion)), sum(map(sum, evaluation.confusion))
    _require(evaluation.data == record.dataset, path, f"holds an evaluation on {evaluation.data}")
    _require(all_ > 0 and right / all_ == evaluation.accuracy, path, f"holds an accuracy that is not {right} of {all_}")
    dense = evaluation.weight_density
    _require(dense <= record.weight_density + DENSITY_ROUNDING, path, f"holds a network with {dense:.3f} of its weights")
    if record.weight_bits == FLOAT_BITS:
        return
    model = QuantizedModel.load(path.with_name(f"{path.stem}-model"))
    _require(model.content_hash() == record.model_hash, path, f"is not of the model in {path.stem}-model")
    _require({layer.weight_bits for layer in model.layers} == {record.weight_bits}, path, "is of a model with other weights")
    dense_macs = None if evaluation.macs_per_step is None else evaluation.macs_per_step["with_decoder"]["dense"]
    _require(record.weights == dense_macs, path, f"counts {record.weights:,} weights where a frame takes {dense_macs or 0:,.0f} dense MACs")


def _gru(folder: Path) -> StreamRun:
    found = _records(folder, GruRecord)
    for seed, path, record in found:
        _require(record.config.seed == seed, path, f"is of seed {record.config.seed}")
        _require(_shared(record) == _shared(found[0][2]), path, f"was trained with another configuration than {found[0][1].name}")
    _require(folder.name == entry_name("gru", 1.0, FLOAT_BITS), folder, "names a density or width that no GRU here has")
    records = [record for _, _, record in found]
    first = records[0]
    return StreamRun(
        dataset=first.dataset,
        cell="gru",
        weight_density=1.0,
        weight_bits=FLOAT_BITS,
        phase="float",
        **_accuracy([record.accuracy for record in records]),
        seeds=[record.config.seed for record in records],
        event_density=None,
        input_event_density=None,
        measured_weight_density=1.0,
        macs_per_frame=first.macs_per_frame,
        macs_dense=first.macs_per_frame,
        saturated_inputs=None,
        parameters=first.parameters,
        weights=first.weights,
        hidden_sizes=[first.config.hidden] * first.config.layers,
        linear_baseline=None,
        recipe=None,
        recipe_digest=hashlib.sha256(json.dumps(_shared(first), sort_keys=True).encode()).hexdigest(),
        dataset_digest=first.dataset_digest,
        model_hashes=[],
        digests=[],
        equals_fake_quantised=None,
        seconds=statistics.fmean(record.seconds for record in records),
        trained_on=_joined(record.hardware for record in records),
    )


def _shared(record: GruRecord) -> dict[str, Any]:
    return record.config.model_dump(mode="json", exclude={"seed", "device"})


def _accuracy(found: list[float]) -> dict[str, Any]:
    deviation = statistics.stdev(found) if len(found) > 1 else None
    return {"accuracies": found, "accuracy_mean": statistics.fmean(found), "accuracy_std": deviation}


def _hardware(folder: Path, hashes: Sequence[str], frame_rate: float | None) -> HardwareFigures:
    board = load_board(folder.name)
    generated = read_generated(folder / RTL, Backend.RTL)
    model_hash = generated.model.content_hash()
    _require(model_hash in hashes, folder / RTL, "was generated of another model than those beside it")
    simulated = _outcome(folder, SIMULATION, SIMULATION_FILE, Simulated, "simulate")
    _require(simulated.backend is Backend.RTL, folder / SIMULATION, "is none of RTL")
    _require(simulated.timing == "measured", folder / SIMULATION, "has no measured clock cycles")
    figures: dict[str, Any] = {
        "board": board.name,
        "model_hash": model_hash,
        "lanes": simulated.lanes,
        "cycles_per_frame": simulated.cycles_per_step,
        "frames_compared": simulated.steps,
        "mismatches": simulated.mismatches,
        "decisions_compared": simulated.features.decisions,
    }
    if (folder / BUILD).is_dir():
        built = _outcome(folder, BUILD, BUILD_FILE, Built, "build")
        _require(built.board == board.name, folder / BUILD, f"is a build for {built.board}")
        latency = simulated.cycles_per_step / min(built.fmax_mhz, built.target_mhz)
        figures |= {
            "fmax_mhz": built.fmax_mhz,
            "placer_seeds": len(built.fmax_mhz_per_seed),
            "target_mhz": built.target_mhz,
            "luts": built.lut,
            "flip_flops": built.ff,
            "block_rams": built.bram,
            "multipliers": built.dsp,
            "large_rams": built.spram,
            "latency_us": latency,
            "real_time_factor": None if frame_rate is None else 1e6 / frame_rate / latency,
        }
    return HardwareFigures(**figures)


def _hls(folder: Path, records: Sequence[StreamRecord]) -> HlsFigures:
    model_hash = read_generated(folder / SOURCE, Backend.HLS).model.content_hash()
    evaluation = next((record.evaluation for record in records if record.model_hash == model_hash), None)
    _require(evaluation is not None, folder / SOURCE, "was generated of another model than those beside it")
    assert evaluation is not None
    command = f"egru simulate {folder / SOURCE} --out {folder / SIMULATION}"
    simulated = require_results(folder / SIMULATION / SIMULATION_FILE, Simulated, command)
    _require(simulated.backend is Backend.HLS, folder / SIMULATION, "is none of HLS C++")
    whole = (simulated.features.decisions, simulated.steps) == (evaluation.sequences, evaluation.frames)
    # The file does not name the model; what it decided must be what that model decides.
    same = not whole or simulated.features.accuracy == evaluation.accuracy
    _require(same, folder / SIMULATION, "decided otherwise than the model beside it")
    return HlsFigures(
        model_hash=model_hash,
        decisions_compared=simulated.features.decisions,
        frames_compared=simulated.steps,
        values_compared=simulated.values,
        mismatches=simulated.mismatches,
        whole_split=whole,
    )


OutcomeT = TypeVar("OutcomeT", Simulated, Built)


def _outcome(folder: Path, part: str, file: str, kind: type[OutcomeT], command: str) -> OutcomeT:
    """Read what a command found of the generated hardware beside it, and check that it was this hardware."""
    found = require_results(folder / part / file, kind, f"egru {command} {folder / RTL} --out {folder / part}")
    for image in sorted((folder / RTL / MEMORY_FOLDER).glob("*.mem")):
        copy = folder / part / MEMORY_FOLDER / image.name
        _require(copy.is_file() and copy.read_bytes() == image.read_bytes(), folder / part, f"is of other hardware than {folder / RTL}")
    return found


def _first_board(hardware: list[HardwareFigures]) -> dict[str, Any]:
    shared = HardwareFigures.model_fields.keys() & StreamRun.model_fields.keys()
    return {"hardware": hardware} | ({name: getattr(hardware[0], name) for name in shared} if hardware else {})


def _joined(names: Any) -> str:
    return ", ".join(sorted(set(names)))


def _require(sound: bool, path: Path, rule: str) -> None:
    if not sound:
        raise UserError(str(path), rule, "measure it again, or move it away")


def run(
    runs: Annotated[list[Path] | None, typer.Option(help="Folder of finished runs; repeatable.")] = None,
    data: Annotated[list[Path] | None, typer.Option(help="Data set that its runs must have been measured on; repeatable.")] = None,
    out: Annotated[Path, typer.Option(help="Result file.")] = RESULT_FILE,
    report: Annotated[Path | None, typer.Option(help="Folder that the page is written into.")] = None,
) -> None:
    """Add runs to the result file, or make the page of it."""
    with errors_to_exit_codes():
        if not (runs or report):
            raise UserError("the command line", "asks for nothing", "give --runs or --report")
        digests = {dataset.name: dataset.digest() for dataset in map(load_features, data or [])}
        for folder in runs or []:
            found = collect(folder, digests)
            results = (read_results(out, Results) or Results()).with_runs(found)
            write_results(results.model_copy(update={"targets": targets(results)}), out)
            progress_console.print(f"{folder}: {len(found)} runs", soft_wrap=True, highlight=False)
        if report is not None:
            write_whole(report / PAGE, page(require_results(out, Results)))


if __name__ == "__main__":
    typer.run(run)
