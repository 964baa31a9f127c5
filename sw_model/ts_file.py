"""Time series files of the UCR and UEA archives, ``.ts``: https://www.aeon-toolkit.org/en/stable/api_reference/data_format.html.

A header of ``@key value`` lines, ``@data``, then one sequence a line: its dimensions, each a list of numbers with commas, and last its
class, all with colons between them. Comments begin with ``#`` or ``%``. What is read: classification, without time stamps and missing
values; sequences may differ in length, the dimensions of one may not.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from sw_model.errors import UserError
from sw_model.input_file import read_bytes

MAX_TS_BYTES = 1 << 29
#: Numbers of one dimension of a sequence: one takes some hundred bytes on its way to an array.
MAX_FRAMES = 1 << 20
WHOLE = "download the file again"
#: What a header may hold of a value that a message shows.
SHOWN = 80


@dataclass(frozen=True)
class TimeSeries:
    """What a file holds.

    Attributes:
        name: Of the problem, as the header says; the file's name where it does not.
        class_names: In the order of the header.
        sequences: float32, shape (frames, dimensions) each, all of the same dimensions.
        labels: Index of each sequence's class.
    """

    name: str
    class_names: tuple[str, ...]
    sequences: tuple[np.ndarray, ...]
    labels: tuple[int, ...]

    @property
    def dimensions(self) -> int:
        """Features of a frame."""
        return int(self.sequences[0].shape[1])


def read_ts(path: Path) -> TimeSeries:
    """Read a file.

    Raises:
        UserError: When it is missing, too large or no such file, its header claims what is not so, it is no classification, has time
            stamps, or a number is missing or not finite.
    """
    lines = enumerate(BytesIO(read_bytes(path, "time series file", "give a .ts file of the UCR or UEA archive", MAX_TS_BYTES)), 1)
    header: dict[str, str] = {}
    for number, raw in lines:
        if raw.lstrip()[:1] in (b"#", b"%", b""):
            continue
        key, _, value = _text(raw, path, number).partition(" ")
        if not key.startswith("@"):
            raise UserError(f"line {number} of {path}, {key[:SHOWN]!r}", "is no @key of a header, and @data has not come yet", WHOLE)
        if key.lower() == "@data":
            break
        header[key[1:].lower()] = value.strip()
    else:
        raise UserError(f"time series file {path}", "has no @data", "give a whole .ts file of the UCR or UEA archive")
    class_names = _class_names(header, path)
    index = {name: label for label, name in enumerate(class_names)}
    sequences, labels = [], []
    for number, raw in lines:
        if raw.lstrip()[:1] not in (b"#", b""):
            values, label = _sequence(_text(raw, path, number), f"line {number} of {path}")
            if label not in index:
                raise UserError(f"class {label[:SHOWN]!r} in line {number} of {path}", "is not in the header's @classLabel", WHOLE)
            sequences.append(values)
            labels.append(index[label])
            _require_width(header, values, sequences[0], f"line {number} of {path}")
    if not sequences:
        raise UserError(f"time series file {path}", "holds no sequence after @data", WHOLE)
    return TimeSeries(header.get("problemname") or path.stem, class_names, tuple(sequences), tuple(labels))


def _text(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode().strip()
    except UnicodeDecodeError:
        raise UserError(f"line {number} of {path}", "is not UTF-8", WHOLE) from None


def _class_names(header: dict[str, str], path: Path) -> tuple[str, ...]:
    if header.get("timestamps", "false").lower() != "false":
        raise UserError(f"@timeStamps of {path}", "are not read", "give a file whose frames follow at one rate")
    if header.get("targetlabel", "false").lower() != "false":
        rule = "is a regression with one number for each sequence, which is not read"
        raise UserError(f"time series file {path}", rule, "give a classification, or bring it into CSV with a target for each frame")
    flag, *names = header.get("classlabel", "false").split()
    if flag.lower() != "true" or len(names) < 2 or len(set(names)) < len(names):
        raise UserError(f"@classLabel of {path}", "does not name two or more classes", "give a file for classification")
    return tuple(names)


def _sequence(line: str, what: str) -> tuple[np.ndarray, str]:
    *dimensions, label = line.split(":")
    if not dimensions:
        raise UserError(what, "has no colon between numbers and class", WHOLE)
    columns = []
    for number, text in enumerate(dimensions):
        if text.count(",") >= MAX_FRAMES:
            raise UserError(f"dimension {number} in {what}", f"has more than {MAX_FRAMES} numbers", "cut it into sequences")
        if "?" in text:
            raise UserError(f"dimension {number} in {what}", "has a missing value", "fill it, or leave the sequence out")
        try:
            with np.errstate(over="ignore"):  # an infinity is refused below
                columns.append(np.array(text.split(","), dtype=np.float64).astype(np.float32))
        except ValueError as error:
            raise UserError(f"dimension {number} in {what}", f"is not numbers with commas ({str(error)[:SHOWN]})", WHOLE) from None
        if not np.isfinite(columns[-1]).all():
            frame = int(np.flatnonzero(~np.isfinite(columns[-1]))[0])
            raise UserError(f"number {frame} of dimension {number} in {what}", "is not finite", "fill it, or leave the sequence out")
        if len(columns[-1]) != len(columns[0]):
            raise UserError(f"dimension {number} in {what}", f"has {len(columns[-1])} numbers, and the first {len(columns[0])}", WHOLE)
    return np.stack(columns, axis=1), label.strip()


def _require_width(header: dict[str, str], values: np.ndarray, first: np.ndarray, what: str) -> None:
    frames, dimensions = values.shape
    if dimensions != first.shape[1]:
        raise UserError(what, f"has {dimensions} dimensions, and the first sequence {first.shape[1]}", WHOLE)
    for key, found in (("dimensions", dimensions), ("dimension", dimensions), ("serieslength", frames)):
        if key == "serieslength" and header.get("equallength", "true").lower() != "true":
            continue
        if key in header and header[key] != str(found):
            raise UserError(what, f"has {found}, and the header says @{key} {header[key][:SHOWN]}", WHOLE)
    if header.get("univariate", "false").lower() == "true" and dimensions != 1:
        raise UserError(what, f"has {dimensions} dimensions, and the header says @univariate true", WHOLE)
