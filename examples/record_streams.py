"""Makes the folder of a feature stream model that ships already trained, from what `benchmarks.streams_training` left of it.

python -m examples.record_streams runs/streams/runs/spoken-arabic-digits/egru-0.1-8/seed1.json --recipe spoken_digits --out examples/mine
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.results_file import errors_to_exit_codes, require_results, write_results
from benchmarks.streams_results import StreamRecord
from benchmarks.streams_targets import COMMANDS, DIGITS
from benchmarks.streams_training import recipe_digest
from sw_model.errors import UserError
from sw_model.feature_sources import COMMANDS_SOURCE, DIGITS_SOURCE
from sw_model.output_folder import require_free, staged_folder
from sw_model.quantized_model import QuantizedModel
from sw_model.train_config import RECIPES, load_recipe

MODEL_FOLDER, RECIPE_FILE, RECORD_FILE, README_FILE = "model", "recipe.toml", "record.json", "README.md"
#: Licences ask that whoever passes on what was made of the data names its authors.
SOURCES = {DIGITS: DIGITS_SOURCE, COMMANDS: COMMANDS_SOURCE}


def record(measured: Path, recipe: Path, out: Path, *, force: bool = False) -> None:
    """Write an example folder.

    Args:
        measured: A record; the exported model lies beside it.
        recipe: What it was trained with.
        out: The example folder.
        force: Replace what it holds.

    Raises:
        UserError: When the model is missing or another one, was trained with another recipe, or ``out`` may not be written.
    """
    require_free(out, force=force)
    found = require_results(measured, StreamRecord, "train it first")
    if recipe_digest(load_recipe(recipe)) != found.recipe_digest:
        raise UserError(f"record {measured}", f"was not made with {recipe}", "give the recipe that it was trained with")
    model = QuantizedModel.load(measured.with_name(f"{measured.stem}-{MODEL_FOLDER}"))
    if model.content_hash() != found.model_hash:
        raise UserError(f"record {measured}", f"is of another model than {measured.stem}-{MODEL_FOLDER}", "train it again")
    with staged_folder(out, force=force) as staging:
        model.save(staging / MODEL_FOLDER)
        shutil.copyfile(recipe, staging / RECIPE_FILE)
        write_results(found, staging / RECORD_FILE)
        (staging / README_FILE).write_text(readme(found), encoding="utf-8")


def readme(found: StreamRecord) -> str:
    """Return the page of an example folder."""
    evaluation, seconds = found.evaluation, {phase.phase: phase.seconds for phase in found.phases}
    assert evaluation.macs_per_step is not None  # it is an exported model's
    macs = evaluation.macs_per_step["with_decoder"]
    equal = "equal" if found.equals_fake_quantised else "**not equal**"
    rows = {
        "neurons per layer": ", ".join(map(str, found.hidden_sizes)),
        "accuracy on the test split, by the integer reference": f"{100 * evaluation.accuracy:.2f} %",
        "accuracy of a linear model of segment means": f"{100 * evaluation.linear_baseline:.2f} %",
        "weights, and the share that is not zero": f"{found.weights:,}, {evaluation.weight_density:.3f}",
        "event density per layer": ", ".join(f"{density:.3f}" for density in evaluation.event_density_per_layer),
        "MACs per frame, dense / weight-sparse / with events": " / ".join(
            f"{macs[kind]:,.0f}" for kind in ("dense", "weight_sparse", "event_sparse")
        ),
        "network as it was trained = exported model": f"{evaluation.frames:,} frames, {equal}",
        "seconds of training: " + ", ".join(seconds): ", ".join(f"{value:,.0f}" for value in seconds.values()),
    }
    table = "\n".join(f"| {what} | {measured} |" for what, measured in rows.items())
    source = SOURCES.get(found.dataset)
    of_whom = "" if source is None else f"\nThe data: {source}.\n"
    return f"""# A model of feature streams that comes trained

Learnt from {evaluation.data}, seed {found.seed}, on {found.hardware}; {found.weight_bits}-bit weights. Measured on
{evaluation.sequences:,} test sequences, which `egru evaluate {MODEL_FOLDER} --data DATA` does again; DATA is the folder that
`egru data import {evaluation.data}` wrote. [Where the data is from](../../docs/streams.md).
{of_whom}
| what | measured |
|---|---|
{table}

* `{MODEL_FOLDER}/`: the exported model.
* `{RECIPE_FILE}`: what it was trained with, all phases.
* `{RECORD_FILE}`: the log: every validation of every phase, the confusion matrix, and the figures above.

Written by `examples/record_streams.py`. [Other densities, widths and seeds](../../docs/streams_results.md).
"""


def main(
    measured: Annotated[Path, typer.Argument(help="File seedN.json of a quantised network.")],
    recipe: Annotated[str, typer.Option(help="What it was trained with: a recipe's name, or a TOML file.")],
    out: Annotated[Path, typer.Option(help="The example folder.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what it holds.")] = False,
) -> None:
    """Make the folder of a feature stream model that ships already trained."""
    with errors_to_exit_codes():
        shipped = RECIPES / f"{recipe}.toml"
        record(measured, shipped if shipped.is_file() else Path(recipe), out, force=force)


if __name__ == "__main__":
    typer.run(main)
