"""`egru data`: sets of feature streams, imported, generated and shown."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from egru.output import print_json, working

if TYPE_CHECKING:
    from sw_model.feature_dataset import FeatureDataset

data = typer.Typer(help="Make and show sets of feature streams: audio, motion, whatever comes frame by frame.", no_args_is_help=True)
imports = typer.Typer(help="Bring a data set into the folder that training reads.", no_args_is_help=True)
data.add_typer(imports, name="import")

Out = Annotated[Path, typer.Option(help="Output folder.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")]
Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON.")]
Share = Annotated[
    float, typer.Option(help="Share of the training split that is held out for validation; whole groups where there are any.")
]
FrameRate = Annotated[float | None, typer.Option(help="Frames per second, if known.")]
#: As in `sw_model.feature_dataset`, and in `sw_model.linear_baseline`, which a command imports only when it runs.
VALID_SHARE, SEGMENTS = 0.15, 8
RUNS = Path("runs/data")


@imports.command("spoken-arabic-digits")
def spoken_arabic_digits(
    source: Annotated[Path, typer.Argument(help="Folder with the two texts of the UCI repository, or an NPZ file: docs/streams.md.")],
    valid_share: Share = VALID_SHARE,
    out: Out = RUNS,
    force: Force = False,
    json: Json = False,
) -> None:
    """Spoken Arabic Digits: 13 cepstral coefficients, 10 digits, 88 speakers; validation is whole speakers."""
    from sw_model.feature_sources import import_digits

    _make(lambda: import_digits(source, valid_share), out, force=force, as_json=json)


@imports.command("arabic-speech-commands")
def arabic_speech_commands(
    source: Annotated[Path, typer.Argument(help="NPZ file of log-mel frames: docs/streams.md.")],
    out: Out = RUNS,
    force: Force = False,
    json: Json = False,
) -> None:
    """Arabic Speech Commands: 40 log-mel bands, 40 keywords, 30 speakers, in the data set's own splits."""
    from sw_model.feature_sources import import_commands

    _make(lambda: import_commands(source), out, force=force, as_json=json)


@imports.command("ts")
def time_series(
    train: Annotated[Path, typer.Argument(help="NAME_TRAIN.ts")],
    test: Annotated[Path, typer.Argument(help="NAME_TEST.ts")],
    valid_share: Share = VALID_SHARE,
    frame_rate: FrameRate = None,
    out: Out = RUNS,
    force: Force = False,
    json: Json = False,
) -> None:
    """A classification problem of the UCR or UEA archive."""
    from sw_model.feature_sources import import_ts

    _make(lambda: import_ts(train, test, valid_share, frame_rate), out, force=force, as_json=json)


@imports.command("csv")
def comma_separated(
    folder: Annotated[Path, typer.Argument(help="Folder with train.csv, test.csv and, if there is one, valid.csv: docs/streams.md.")],
    valid_share: Share = VALID_SHARE,
    frame_rate: FrameRate = None,
    source: Annotated[str, typer.Option(help="Where the data is from and under which licence; kept with it.")] = "",
    out: Out = RUNS,
    force: Force = False,
    json: Json = False,
) -> None:
    """Tables of your own: one row a frame."""
    from sw_model.csv_file import import_csv

    _make(lambda: import_csv(folder, valid_share, frame_rate, source), out, force=force, as_json=json)


@data.command()
def generate(
    seed: Annotated[int, typer.Option(help="Fixes every number.")] = 0,
    out: Out = RUNS,
    force: Force = False,
    json: Json = False,
) -> None:
    """Make the embedded data set: which stroke follows the cue? A linear model cannot tell, a recurrent network can."""
    from sw_model.generated_features import generated_dataset

    _make(lambda: generated_dataset(seed), out, force=force, as_json=json)


@data.command()
def show(
    source: Annotated[str, typer.Argument(help="Folder that `egru data` wrote, or generated for the embedded data set.")],
    segments: Annotated[
        int, typer.Option(min=1, help="Of a sequence, for the linear model; for regression, frames that one is predicted from.")
    ] = SEGMENTS,
    json: Json = False,
) -> None:
    """Show sizes, lengths, classes, the range of each feature, and what a linear model makes of it."""
    from egru.data_summary import describe, describe_baseline
    from sw_model.feature_sources import load_features

    with working(f"reading {source}"):
        dataset = load_features(source)
        found = describe(dataset) | {"baseline": describe_baseline(dataset, segments)}
    if json:
        print_json(found)
        return
    console = Console(markup=False)
    _print_splits(console, source, found)
    if found["classes"]:
        console.print(_classes_table(found))
    console.print(_features_table(found))
    _print_remarks(console, found)
    baseline = found["baseline"]
    inputs = f"means of {segments} segments" if found["classes"] else f"{segments} frames"
    console.print(
        f"linear model on {inputs}, {baseline['measure']}: {baseline['test']:.3f} on the test split "
        f"({baseline['train']:.3f} train, {baseline['valid']:.3f} valid); a constant gives {baseline['constant']:.3f}",
        soft_wrap=True,
        highlight=False,
    )


def _make(load: Callable[[], "FeatureDataset"], out: Path, *, force: bool, as_json: bool) -> None:
    from egru.data_summary import describe
    from sw_model.feature_dataset import write_dataset
    from sw_model.output_folder import require_free

    require_free(out, force=force)
    with working(f"making {out}"):
        dataset = load()
        write_dataset(dataset, out, force=force)
    found = describe(dataset)
    if as_json:
        print_json({"dataset": str(out)} | found)
        return
    console = Console(markup=False)
    _print_splits(console, str(out), found)
    _print_remarks(console, found)


def _print_splits(console: Console, where: str, found: dict[str, Any]) -> None:
    kinds = f"{len(found['classes'])} classes" if found["classes"] else f"{len(found['targets'])} targets"
    rate = "" if found["frame_rate"] is None else f", {found['frame_rate']:g} frames per second"
    said = f"{where}: {found['name']}, {found['task']}, {len(found['features'])} features, {kinds}{rate}"
    console.print(said, soft_wrap=True, highlight=False)
    table = Table("split", "sequences", "frames", "shortest", "median", "longest", "groups")
    for name, split in found["splits"].items():
        lengths = [f"{split['lengths'][key]:,g}" for key in ("min", "median", "max")]
        groups = "-" if split["groups"] is None else str(split["groups"])
        table.add_row(name, f"{split['sequences']:,}", f"{split['frames']:,}", *lengths, groups)
    console.print(table)


def _classes_table(found: dict[str, Any]) -> Table:
    table = Table("class", *found["splits"])
    for number, name in enumerate(found["classes"]):
        table.add_row(name, *(f"{split['per_class'][number]:,}" for split in found["splits"].values()))
    return table


def _features_table(found: dict[str, Any]) -> Table:
    table = Table("feature, training split", "min", "mean", "max", "deviation")
    for one in found["features"]:
        table.add_row(one["name"], *(f"{one[key]:.4g}" for key in ("min", "mean", "max", "deviation")))
    return table


def _print_remarks(console: Console, found: dict[str, Any]) -> None:
    if found["groups_in_several_splits"]:
        console.print(f"{found['groups_in_several_splits']} groups are in more than one split: the test is easier than for new ones.")
    if found["source"]:
        console.print(f"source: {found['source']}", soft_wrap=True, highlight=False)
