"""Finished language model runs, collected, measured by the integer reference and reported: ``python -m benchmarks.paper``.

Training leaves one folder per run, with ``run.json`` and, where the run is quantised, the exported ``model/``. Every model is evaluated
over its whole test split, once: a run whose model has been measured keeps its figures. The result file is written after every run, so what
was measured is not lost when a later run is stopped. ``--report`` makes the page and its figures of the result file alone.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.paper_figures import FIGURES, draw, figure_file
from benchmarks.paper_report import page
from benchmarks.paper_results import (
    EVALUATION_STREAMS,
    MODEL_FOLDER,
    RECORD_FILE,
    CurvePoint,
    IntegerQuality,
    LayerMacs,
    MacCounts,
    MacsPerToken,
    Measurement,
    Results,
    Run,
    RunRecord,
    Speed,
)
from benchmarks.results_file import errors_to_exit_codes, read_results, require_results, write_results
from egru.artifacts import TextInfo, load_matching_text
from egru.measure import measure_model
from egru.output import progress_bar, progress_console
from sw_model.datasets import load_text
from sw_model.errors import UserError
from sw_model.macs import Macs
from sw_model.output_folder import write_whole
from sw_model.quantized_model import QuantizedModel

RESULT_FILE = Path("benchmarks/results/paper.json")
PAGE = "paper_results.md"
#: Points of a training curve that are kept.
CURVE_POINTS = 60
LSTM_GATES = 4


def find_runs(folders: Iterable[Path]) -> dict[Path, RunRecord]:
    """Read the records in ``folders``, each of which is a run's or holds runs' folders.

    Raises:
        UserError: When a folder holds no run, a record is not one, or two runs have the same name.
    """
    records: dict[Path, RunRecord] = {}
    names: dict[str, Path] = {}
    for folder in folders:
        found = [folder] if (folder / RECORD_FILE).is_file() else sorted(file.parent for file in folder.glob(f"*/{RECORD_FILE}"))
        if not found:
            raise UserError(f"--runs {folder}", f"holds no {RECORD_FILE}", "give the folder of a run, or one that holds such folders")
        for place in found:
            record = require_results(place / RECORD_FILE, RunRecord, "train the run again, or mend its record")
            if names.setdefault(record.name, place) != place:
                raise UserError(f"run {record.name} in {place}", f"is in {names[record.name]} as well", "rename one of them")
            records[place] = record
    return records


def collect(folder: Path, record: RunRecord, data: Path, known: Results, jobs: int) -> Run:
    """Measure a run, as far as that was not done before.

    Args:
        folder: Of the run.
        record: That training left there.
        data: Folder that holds one folder per data set.
        known: What was measured before.
        jobs: Threads of the evaluation.

    Raises:
        UserError: When the model of a quantised run is missing, damaged, of another width or of another text.
    """
    hidden_sizes = record.hidden_sizes
    if record.cell == "lstm":
        measured = Measurement(macs_per_token=_lstm_macs(record, data))
    elif record.weight_bits is None:
        measured = Measurement()
    else:
        model = _load_model(folder / MODEL_FOLDER, record.weight_bits)
        hidden_sizes = [layer.neurons for layer in model.layers]
        measured = _measured_before(model, record, known) or _measure(model, record, data, jobs)
    trained = record.model_copy(update={"hidden_sizes": hidden_sizes, "curve": thinned(record.curve)})
    return Run.model_validate(trained.model_dump() | measured.model_dump())


def _load_model(folder: Path, weight_bits: int) -> QuantizedModel:
    model = QuantizedModel.load(folder)
    if {layer.weight_bits for layer in model.layers} != {weight_bits}:
        raise UserError(f"model {folder}", f"has other weights than the {weight_bits} bits of its run", "export the run again")
    return model


def _measured_before(model: QuantizedModel, record: RunRecord, known: Results) -> Measurement | None:
    """Return the figures of this very model, compared with the digest that the record now has; None when there are none."""
    for run in known.runs:
        if run.name == record.name and run.integer is not None and run.integer.model_hash == model.content_hash():
            integer = run.integer.model_copy(update={"equals_gpu": _equal(run.integer.digest, record.digest)})
            return Measurement(macs_per_token=run.macs_per_token, layers=run.layers, integer=integer)
    return None


def _measure(model: QuantizedModel, record: RunRecord, data: Path, jobs: int) -> Measurement:
    """Run the integer reference over the test split."""
    tokens = load_matching_text(TextInfo(record.dataset, "words", model.vocabulary), str(data / record.dataset)).test
    started = time.monotonic()
    with progress_bar() as bar:
        task = bar.add_task(record.name)
        measured = measure_model(
            model,
            tokens,
            EVALUATION_STREAMS[record.dataset],
            jobs=jobs,
            digest=True,
            advance=lambda done, total: bar.update(task, advance=done, total=total),
        )
    seconds = time.monotonic() - started
    found, macs = measured.evaluation, measured.macs
    assert found.digest is not None  # it was asked for
    words = f"{record.name}: perplexity {found.perplexity:.2f} on {found.symbols:,} tokens in {seconds:.0f} s"
    progress_console.print(words, soft_wrap=True, highlight=False)
    return Measurement(
        macs_per_token=MacsPerToken(**_counts(macs.without_decoder), decoder=MacCounts(**_counts(macs.decoder))),
        layers=[
            LayerMacs(
                **_counts(layer),
                weight_density=layer.weight_sparse / layer.dense,
                event_density=layer.dense_columns / layer.dense,
                law_ratio=layer.law_ratio,
            )
            for layer in macs.layers
        ],
        integer=IntegerQuality(
            model_hash=model.content_hash(),
            test_perplexity=found.perplexity,
            event_density=list(found.event_density),
            digest=found.digest,
            equals_gpu=_equal(found.digest, record.digest),
            tokens=found.symbols,
            seconds=seconds,
        ),
    )


def thinned(curve: Sequence[CurvePoint]) -> Sequence[CurvePoint]:
    """Return at most `CURVE_POINTS` points, evenly chosen, the first and the last among them."""
    if len(curve) <= CURVE_POINTS:
        return curve
    return [curve[round(index * (len(curve) - 1) / (CURVE_POINTS - 1))] for index in range(CURVE_POINTS)]


def _lstm_macs(record: RunRecord, data: Path) -> MacsPerToken | None:
    """Count an LSTM's MACs as those of an EGRU are counted: the input product of the first layer left out, the decoder apart."""
    sizes = record.hidden_sizes
    if not sizes:
        progress_console.print(f"{record.name}: no hidden_sizes in its {RECORD_FILE}, so its MACs are not counted", soft_wrap=True)
        return None
    inputs = [0, *sizes[:-1]]
    layers = sum(LSTM_GATES * units * (units + read) for units, read in zip(sizes, inputs, strict=True))
    decoder = sizes[-1] * _symbols(data / record.dataset)
    return MacsPerToken(**_dense(layers), decoder=MacCounts(**_dense(decoder)))


@cache
def _symbols(source: Path) -> int:
    return len(load_text(source, "words").vocabulary)


def _counts(macs: Macs) -> dict[str, float]:
    return {"dense": macs.dense, "weight_sparse": macs.weight_sparse, "event_sparse": macs.event_sparse}


def _dense(macs: int) -> dict[str, float]:
    return dict.fromkeys(("dense", "weight_sparse", "event_sparse"), float(macs))


def _equal(digest: str, of_gpu: str | None) -> bool | None:
    return None if of_gpu is None else digest == of_gpu


def run(
    data: Annotated[Path | None, typer.Option(help="Folder that holds ptb/ and wikitext2/.")] = None,
    runs: Annotated[list[Path] | None, typer.Option(help="Folder of a finished run, or one that holds such; may be repeated.")] = None,
    speed: Annotated[Path | None, typer.Option(help="JSON file with the time of an optimiser step.")] = None,
    report: Annotated[Path | None, typer.Option(help="Folder that page and figures are written into.")] = None,
    out: Annotated[Path, typer.Option(help="Result file.")] = RESULT_FILE,
    jobs: Annotated[int, typer.Option(help="Threads of the evaluation.", min=1)] = os.cpu_count() or 1,
) -> None:
    """Add runs, or the speed of training, to the result file, or make the page of it."""
    with errors_to_exit_codes():
        if not (runs or speed or report):
            raise UserError("the command line", "asks for nothing", "give --runs, --speed or --report")
        records = find_runs(runs or [])
        if speed is not None:
            found = require_results(speed, Speed, "measure it first")
            write_results(_known(out).model_copy(update={"speed": found}), out)
        if records:
            _add(records, data, out, jobs)
        if report is not None:
            _report(require_results(out, Results), report)


def _add(records: Mapping[Path, RunRecord], data: Path | None, out: Path, jobs: int) -> None:
    if data is None:
        raise UserError("--runs", "needs the texts that the runs were trained on", "give --data FOLDER")
    for folder, record in records.items():
        known = _known(out)
        write_results(known.with_run(collect(folder, record, data, known, jobs)), out)


def _known(out: Path) -> Results:
    return read_results(out, Results) or Results()


def _report(results: Results, folder: Path) -> None:
    for name, kind in FIGURES.items():
        panels = kind.panels(results)
        if panels:
            write_whole(folder / figure_file(name), draw(panels, kind.height))
    write_whole(folder / PAGE, page(results))


if __name__ == "__main__":
    typer.run(run)
