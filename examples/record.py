"""Makes the folder of a model that ships already trained, from the checkpoints of its three phases.

    python -m examples.record runs/mine --recipe mine.toml --hardware hardware.toml --where "one NVIDIA H200"

``runs/mine`` holds ``dense``, ``pruned`` and ``quantised``: the folder ``checkpoints`` of `egru demo`, or what `egru train` and
`egru prune` wrote there. The demo is run over them up to the proof, and its figures are the ones that are recorded.
"""

import json
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.results_file import errors_to_exit_codes
from egru.flow import CONFIG_FILE, PHASES, DemoFolder, config_text, run_demo
from egru.flow_config import FlowConfig, load_flow_config
from egru.pretrained import FIGURES_FILE, HARDWARE_FILE, MODEL_FOLDER, PRETRAINED, RECIPE_FILE
from egru.summary import Summary, TrainingRecord
from sw_model import checkpoint
from sw_model.errors import UserError
from sw_model.output_folder import require_free, staged_folder
from sw_model.quantized_model import QuantizedModel
from sw_model.train_config import TrainConfig

README_FILE = "README.md"


def record(checkpoints: Path, recipe: Path, hardware: Path, where: str, out: Path, *, force: bool = False) -> None:
    """Write an example folder.

    Args:
        checkpoints: Holds ``dense``, ``pruned`` and ``quantised``.
        recipe: What they were trained with, as `sw_model.train_config.load_recipe` reads it.
        hardware: Tables [hardware], [simulation] and [build] that fit the model.
        where: The machine that trained them.
        out: The example folder.
        force: Replace what it holds.

    Raises:
        UserError: When a checkpoint is missing or was not trained with the recipe, or ``out`` may not be written.
        CheckFailedError: When two forms of the model differ.
    """
    require_free(out, force=force)
    config = load_flow_config(hardware, recipe=recipe)
    phases = (config.dense, config.prune, config.qat)
    for phase, settings in zip(PHASES, phases, strict=True):
        _require_trained_with(settings, checkpoints / phase, recipe)
    with tempfile.TemporaryDirectory() as place:
        summary, model = _prove(config, checkpoints, DemoFolder(Path(place)))
    found = summary.equivalence.fake_quant_vs_reference
    assert found is not None  # the demo makes this comparison whenever it has checkpoints
    figures = TrainingRecord(
        where=where,
        python=platform.python_version(),
        seeds=tuple(settings.seed for settings in phases),
        seconds={phase: summary.seconds[f"train_{phase}"] for phase in PHASES},
        text=summary.text,
        model=summary.model,
        fake_quant_vs_reference=found,
    )
    with staged_folder(out, force=force) as staging:
        model.save(staging / MODEL_FOLDER)
        shutil.copyfile(recipe, staging / RECIPE_FILE)
        shutil.copyfile(hardware, staging / HARDWARE_FILE)
        (staging / FIGURES_FILE).write_text(json.dumps(figures.model_dump(mode="json", by_alias=True), indent=1) + "\n")
        (staging / README_FILE).write_text(readme(figures), encoding="utf-8")


def _require_trained_with(settings: TrainConfig, folder: Path, recipe: Path) -> None:
    trained = checkpoint.load(folder).manifest.training.get("config")
    if trained != settings.model_dump(mode="json"):
        raise UserError(f"checkpoint {folder}", f"was not trained with {recipe}", "give the recipe that it was trained with")


def _prove(config: FlowConfig, checkpoints: Path, folder: DemoFolder) -> tuple[Summary, QuantizedModel]:
    """Resume a demo whose training has ended."""
    for phase in PHASES:
        shutil.copytree(checkpoints / phase, folder.checkpoint(phase))
    (folder.root / CONFIG_FILE).write_text(config_text(config))
    summary = run_demo(config, folder.root, resume=True, with_build=False)
    return summary, QuantizedModel.load(folder.model)


def readme(figures: TrainingRecord) -> str:
    """Return the page of an example folder."""
    model, quality, macs = figures.model, figures.model.quality, figures.model.macs_with_decoder
    neurons, events = ", ".join(map(str, model.layers)), ", ".join(f"{density:.3f}" for density in model.event_density_per_layer)
    rows = {
        "neurons per layer": neurons,
        f"{quality.metric}, float": f"{quality.float_:.3f}",
        f"{quality.metric}, pruned": f"{quality.pruned:.3f}",
        f"{quality.metric}, pruned and quantised to {model.weight_bits} bits": f"{quality.quantised:.3f}",
        f"{quality.metric}, {quality.baseline_order}-gram baseline on the same split": f"{quality.baseline:.3f}",
        "weight density": f"{model.weight_density:.3f}",
        "event density per layer": events,
        "MACs per step, dense / weight-sparse / with events": f"{macs.dense:,.0f} / {macs.weight_sparse:,.0f} / {macs.event_sparse:,.0f}",
        "seconds of training: " + ", ".join(figures.seconds): ", ".join(f"{seconds:,.0f}" for seconds in figures.seconds.values()),
    }
    table = "\n".join(f"| {what} | {measured} |" for what, measured in rows.items())
    return f"""# A model that comes trained

`egru demo --pretrained` takes it through everything but training: measured again on the held-out text, generated, proved against the
integer reference in RTL simulation, placed and routed. Commands that take a model, such as `egru evaluate`, take `{MODEL_FOLDER}`.

Learnt from {figures.text.name} of Python {figures.python}, {figures.text.train:,} {figures.text.unit}, on {figures.where}; measured on
{figures.text.test:,} held-out ones:

| what | measured |
|---|---|
{table}

* `{MODEL_FOLDER}/`: the exported model. The checkpoints that it came from do not ship, so the demo shows float and pruned figures as
  recorded and does not repeat the comparison of the fake-quantised network with the reference:
  {figures.fake_quant_vs_reference.steps:,} steps, {figures.fake_quant_vs_reference.mismatches} mismatches when it was recorded.
* `{RECIPE_FILE}`: what it was trained with: `egru demo --config {RECIPE_FILE}` trains it anew.
* `{HARDWARE_FILE}`: board, lanes and simulation of the demo.
* `{FIGURES_FILE}`: the figures above, and more.

The text differs a little between Python versions. Symbols that the model does not know are left out and counted in the demo's summary.

Written by `examples/record.py`.
"""


def main(
    checkpoints: Annotated[Path, typer.Argument(help="Folder with the checkpoints dense, pruned and quantised.")],
    recipe: Annotated[Path, typer.Option(help="What they were trained with.")],
    hardware: Annotated[Path, typer.Option(help="TOML file with [hardware], and if need be [simulation] and [build].")],
    where: Annotated[str, typer.Option(help="The machine that trained them, e.g. 'one core of a virtual machine'.")],
    out: Annotated[Path, typer.Option(help="The example folder.")] = PRETRAINED,
    force: Annotated[bool, typer.Option("--force", help="Replace what it holds.")] = False,
) -> None:
    """Make the folder of a model that ships already trained."""
    with errors_to_exit_codes():
        record(checkpoints, recipe, hardware, where, out, force=force)


if __name__ == "__main__":
    typer.run(main)
