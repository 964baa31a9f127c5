"""Feature streams as CSV: one row a frame."""

import csv
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np

from sw_model.datasets import SPLITS
from sw_model.errors import UserError
from sw_model.feature_dataset import VALID_SHARE, FeatureDataset, FeatureSplit, hold_out, offsets_of
from sw_model.input_file import read_bytes

SEQUENCE, LABEL, GROUP, TARGET = "sequence", "label", "group", "target:"
MAX_CSV_BYTES = 1 << 28
#: Letters of a value that a message shows.
SHOWN = 80
LARGEST = float(np.finfo(np.float32).max)
REMEDY = "give CSV as docs/streams.md describes it"


@dataclass(frozen=True)
class _Columns:
    """The names of a file's columns, in their order, and what they are."""

    header: tuple[str, ...]
    features: tuple[str, ...]
    targets: tuple[str, ...]

    def place(self, name: str) -> int | None:
        return self.header.index(name) if name in self.header else None


@dataclass
class _Table:
    """What a file holds: numbers of all frames, one after the other; labels and groups of all sequences, as far as there are any."""

    columns: _Columns
    features: "array[float]" = field(default_factory=lambda: array("d"))
    targets: "array[float]" = field(default_factory=lambda: array("d"))
    lengths: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)


def import_csv(folder: Path, share: float = VALID_SHARE, frame_rate: float | None = None, source: str = "") -> FeatureDataset:
    """Read ``train.csv``, ``test.csv`` and, where it is there, ``valid.csv``.

    One row a frame, the rows of a sequence together. The columns: ``sequence``, any text; ``label``, the class, the same in all rows of a
    sequence, or for regression ``target:NAME`` for each target; ``group``, who or what the sequence is from, where that is known; every
    other column is a feature. Classes are those of the training file, sorted. Without ``valid.csv`` validation is held out of
    ``train.csv``, see `hold_out`.

    Args:
        folder: Where the files are.
        share: Of the training groups, or of the training sequences of each class, for validation.
        frame_rate: Frames per second.
        source: Where the data is from, for the data set's description.

    Raises:
        UserError: When a file is missing, columns differ, a row is damaged, or a sequence is not in one piece or of two classes.
    """
    files = {name: folder / f"{name}.csv" for name in SPLITS}
    if not files["valid"].exists():
        del files["valid"]
    tables = {name: _read(path) for name, path in files.items()}
    columns = tables["train"].columns
    for name, table in tables.items():
        if table.columns != columns:
            raise UserError(f"columns of {files[name]}", "are not those of train.csv", "give all files the same columns in the same order")
    classes = sorted(set(tables["train"].labels), key=_by_number)
    groups = sorted({group for table in tables.values() for group in table.groups}, key=_by_number)
    splits = {name: _split(table, classes, groups, files[name]) for name, table in tables.items()}
    if "valid" not in splits:
        splits["train"], splits["valid"] = hold_out(splits["train"], share)
    return FeatureDataset(
        name=folder.resolve().name or "csv",
        task="regression" if columns.targets else "classification",
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        feature_names=columns.features,
        class_names=tuple(classes),
        target_names=tuple(name.removeprefix(TARGET) for name in columns.targets),
        frame_rate=frame_rate,
        source=source,
    )


def numbers(texts: list[str], count: int, what: str) -> list[float]:
    """Return the numbers of a line.

    Raises:
        UserError: When there are more or fewer than ``count``, or one is no finite number.
    """
    if len(texts) != count:
        raise UserError(what, f"has {len(texts)} numbers, not {count}", "mend that line")
    try:
        values = [float(text) for text in texts]
    except ValueError as error:
        raise UserError(what, f"holds what is no number ({str(error)[:SHOWN]})", "mend that line") from None
    for value in values:
        if not abs(value) <= LARGEST:
            raise UserError(what, f"holds {value}, which is not finite in 32 bits", "mend that line, or leave out its sequence")
    return values


def _by_number(name: str) -> tuple[bool, int, str]:
    """Sort 10 after 9, and what is no number after what is."""
    whole = name.isascii() and name.isdecimal()
    return (not whole, len(name) if whole else 0, name)


def _read(path: Path) -> _Table:
    rows = _rows(path)
    table = _Table(_columns(next(rows, (0, []))[1], path))
    sequence, label, group = (table.columns.place(name) for name in (SEQUENCE, LABEL, GROUP))
    assert sequence is not None  # else the columns are refused
    features, targets = ([table.columns.header.index(name) for name in names] for names in (table.columns.features, table.columns.targets))
    seen: set[str] = set()
    current: tuple[str, ...] = ()
    for number, cells in rows:
        what = f"line {number} of {path}"
        if len(cells) != len(table.columns.header):
            raise UserError(what, f"has {len(cells)} cells for {len(table.columns.header)} columns", "mend that line")
        given = (cells[sequence], *(cells[place] for place in (label, group) if place is not None))
        if given[:1] != current[:1]:
            if given[0] in seen:
                raise UserError(
                    f"sequence {given[0][:SHOWN]!r} in {what}", "goes on after another one", "keep the rows of a sequence together"
                )
            seen.add(given[0])
            current = given
            table.lengths.append(0)
            table.labels += [] if label is None else [cells[label]]
            table.groups += [] if group is None else [cells[group]]
        elif given != current:
            rule = f"has another {LABEL} or {GROUP} than the row before"
            raise UserError(
                f"sequence {given[0][:SHOWN]!r} in {what}", rule, "give each sequence one, or regression targets for each frame"
            )
        table.lengths[-1] += 1
        table.features.extend(numbers([cells[place] for place in features], len(features), what))
        table.targets.extend(numbers([cells[place] for place in targets], len(targets), what))
    if not table.lengths:
        raise UserError(f"CSV file {path}", "has no row under its columns", "give it frames")
    return table


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of each line that is not empty."""
    data = read_bytes(path, "CSV file", REMEDY, MAX_CSV_BYTES)
    reader = csv.reader(TextIOWrapper(BytesIO(data), encoding="utf-8-sig", newline=""))
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise UserError(f"line {reader.line_num} of {path}", f"is not CSV ({error})", REMEDY) from None
    except UnicodeDecodeError:
        raise UserError(f"CSV file {path}", "is not UTF-8", REMEDY) from None


def _columns(header: list[str], path: Path) -> _Columns:
    remedy = f"give {SEQUENCE}, {LABEL} or {TARGET}NAME, and one for each feature"
    if twice := next((name for name, count in Counter(header).items() if count > 1 or not name), None):
        raise UserError(f"column {twice[:SHOWN]!r} of {path}", "stands there twice", remedy)
    targets = tuple(name for name in header if name.startswith(TARGET))
    known = {SEQUENCE, LABEL, GROUP, *targets}
    features = tuple(name for name in header if name not in known)
    if SEQUENCE not in header or not features or bool(targets) == (LABEL in header):
        raise UserError(f"columns of {path}", f"are not {SEQUENCE}, features, and either {LABEL} or {TARGET}NAME", remedy)
    return _Columns(tuple(header), features, targets)


def _split(table: _Table, classes: list[str], groups: list[str], path: Path) -> FeatureSplit:
    label_of, group_of = ({name: number for number, name in enumerate(names)} for names in (classes, groups))
    if unknown := next((label for label in table.labels if label not in label_of), None):
        raise UserError(f"class {unknown[:SHOWN]!r} in {path}", "is not in train.csv", "train on every class")
    features, targets = (
        np.frombuffer(values, np.float64).astype(np.float32).reshape(sum(table.lengths), -1) if values else None
        for values in (table.features, table.targets)
    )
    assert features is not None  # there are columns of features, and rows
    return FeatureSplit(
        features,
        offsets_of(table.lengths),
        labels=np.array([label_of[label] for label in table.labels], np.int64) if table.labels else None,
        targets=targets,
        groups=np.array([group_of[group] for group in table.groups], np.int64) if table.groups else None,
    )
