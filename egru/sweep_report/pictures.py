"""Pictures of the models of a sweep: which neurons sent events when, and which weights are not zero."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egru.sweep.table import Row
from egru.sweep_report.entries import Entry
from egru.sweep_report.figures import ModelPictures, Picture, percent, spread
from egru.sweep_report.reading import Sweep
from sw_model.errors import UserError
from sw_model.input_file import read_bytes
from sw_model.npz_file import read_arrays
from sw_model.quantized_model import QuantizedModel

#: The page holds the pictures of so many models: each is some 30 kB.
MAX_MODELS = 8
#: Cells of a picture in either direction; a larger one is shown by the share of each block that is not zero.
MAX_WEIGHTS, MAX_EVENTS = 128, 256
#: Of a file of events, packed and unpacked.
MAX_RASTER_BYTES = 16 << 20
REMEDY = "run the sweep again"


@dataclass(frozen=True)
class Album:
    """The pictures of a sweep, the sparsest model first.

    Attributes:
        models: As many as a page holds.
        remarks: What was left out, and why.
    """

    models: tuple[ModelPictures, ...]
    remarks: tuple[str, ...]


def album(sweeps: Sequence[Sweep], entries: Sequence[Entry]) -> Album:
    """Read models and events of the points; a model of several points once. What cannot be read is left out, with a remark."""
    folders = [sweep.folder for sweep in sweeps for _ in sweep.results.rows]
    pictured = [(one, folder) for one, folder in zip(entries, folders, strict=True) if one.row.artifact or one.row.raster]
    by_model = {_identity(one): (one, folder) for one, folder in reversed(pictured)}
    ordered = sorted(by_model.values(), key=lambda found: found[0].row.model.weight_density if found[0].row.model else 1.0)
    remarks = [f"{MAX_MODELS} of {len(ordered)} models are shown."] if len(ordered) > MAX_MODELS else []
    models = []
    for entry, folder in spread(ordered, MAX_MODELS):
        rasters: tuple[Picture, ...] = ()
        masks: tuple[Picture, ...] = ()
        try:
            masks = tuple(_masks(folder, entry.row))
            rasters = tuple(_rasters(folder, entry.row))
        except UserError as error:
            remarks.append(f"{entry.name}: {error}")
        if rasters or masks:
            models.append(ModelPictures(entry.name, rasters, masks))
    return Album(tuple(models), tuple(remarks))


def _identity(entry: Entry) -> str:
    return entry.sweep + (entry.row.model.hash if entry.row.model else entry.row.name)


def _inside(folder: Path, name: str) -> Path:
    """Return a path of the table; the table may come from anywhere, and names nothing outside of its folder.

    Raises:
        UserError: When it does.
    """
    path = folder / name
    if "\0" in name or not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"path {name[:80]!r} in the table", "leads out of the sweep's folder", REMEDY)
    return path


def _masks(folder: Path, row: Row) -> Iterator[Picture]:
    if row.artifact is None:
        return
    model = QuantizedModel.load(_inside(folder, row.artifact))
    for index, layer in enumerate(model.layers):
        if index:
            yield _mask(f"layer{index}, W", f"neuron of layer{index - 1}", "neuron", layer.input_weight)
        yield _mask(f"layer{index}, R", "neuron, one step before", "neuron", layer.recurrent_weight)
    yield _mask("decoder, D", f"neuron of layer{len(model.layers) - 1}", "class", model.decoder.weight)


def _mask(title: str, x: str, y: str, weight: np.ndarray) -> Picture:
    """Show which weights of a matrix of shape (rows, columns), or of three such, are not zero."""
    kept, gates = np.count_nonzero(weight), ("z", "r", "g") if weight.ndim == 3 else ()
    matrices = weight if gates else weight[np.newaxis]
    shrunk = [_shrink(matrix != 0, MAX_WEIGHTS) for matrix in matrices]
    scale = shrunk[0][1]
    said = f"{title}: {kept:,} of {weight.size:,} weights are not zero, {percent(kept / weight.size)}."
    return Picture(title, x, y, np.hstack([cells for cells, _ in shrunk]), scale, gates, said)


def _rasters(folder: Path, row: Row) -> Iterator[Picture]:
    if row.raster is None:
        return
    path = _inside(folder, row.raster)
    for name, events in read_raster(path).items():
        cells, scale = _shrink(events.T, MAX_EVENTS)
        said = f"{name}: {len(events)} steps of {events.shape[1]} neurons; {percent(events.mean())} of them sent an event."
        yield Picture(name, "step", "neuron", cells, scale, (), said)


def read_raster(path: Path) -> dict[str, np.ndarray]:
    """Read events: by layer, bool, shape (steps, neurons).

    Raises:
        UserError: When the file is missing, too large, or holds anything else. Nothing is unpickled, and no memory is taken for what a
            header only claims.
    """
    what = f"file of events {path}"
    arrays = read_arrays(read_bytes(path, "file of events", REMEDY, MAX_RASTER_BYTES), what, REMEDY, MAX_RASTER_BYTES)
    for name, events in arrays.items():
        if events.ndim != 2 or events.dtype != np.bool_:
            raise UserError(f"{name[:80]!r} in {what}, {events.dtype} of shape {events.shape}", "is not bool of (steps, neurons)", REMEDY)
    return {name: events.view(np.uint8) != 0 for name, events in arrays.items()}


def _shrink(mask: np.ndarray, limit: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Return uint8 cells, at most ``limit`` in each direction, and rows and columns of ``mask`` to a cell."""
    scale = tuple(-(-length // limit) for length in mask.shape)
    rows, columns = (np.arange(0, length, step) for length, step in zip(mask.shape, scale, strict=True))
    counts = np.add.reduceat(np.add.reduceat(mask.astype(np.float64), rows, axis=0), columns, axis=1)
    heights, widths = np.diff(np.append(rows, mask.shape[0])), np.diff(np.append(columns, mask.shape[1]))
    # Fifteen shades are as many as can be told apart, and pack well.
    shares = np.ceil(15 * np.sqrt(counts / np.outer(heights, widths)))
    return (17 * shares).astype(np.uint8), (scale[0], scale[1])
