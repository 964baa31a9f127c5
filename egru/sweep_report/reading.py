"""Reading the table of a sweep: a file from somewhere."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egru.sweep.table import SWEEP_FILE, SweepResults
from sw_model.errors import UserError
from sw_model.input_file import read_json
from sw_model.strict_toml import validate

#: Some ten thousand points.
MAX_BYTES = 64 << 20
#: Far above every amount that is measured, and what floats still count.
MAX_AMOUNT = 1e15
REMEDY = "give the folder of a sweep"


@dataclass(frozen=True)
class Sweep:
    """A sweep as it was read.

    Attributes:
        folder: Where it lies.
        results: Its table.
        letter: Names its points beside those of another sweep, A or B; empty where there is one only.
    """

    folder: Path
    results: SweepResults
    letter: str = ""

    @property
    def name(self) -> str:
        """The sweep's title, with its letter."""
        return f"{self.letter}: {self.results.title}" if self.letter else self.results.title


def read_sweep(folder: Path, letter: str = "") -> Sweep:
    """Read ``sweep.json`` in ``folder``; ``letter`` as in `Sweep`.

    Raises:
        UserError: When it is missing, damaged, of another version, or no table of a sweep.
    """
    path = folder / SWEEP_FILE
    data = read_json(path, "sweep", REMEDY, MAX_BYTES)
    if not isinstance(data, dict) or data.get("format") != "egru-sweep":
        raise UserError(f"file {path}", "is no table of a sweep", REMEDY)
    if data.get("version") != 1:
        raise UserError(
            f"sweep version {data.get('version')!r} in {path}", "is not the version 1 that this release reads", "update egru-fpga"
        )
    results = validate(_printable(data), SweepResults, str(path))
    for amount in _numbers(data["rows"]):
        if abs(amount) > MAX_AMOUNT:
            raise UserError(f"a number in {path}", f"is beyond {MAX_AMOUNT:g}", "run the sweep again")
    for name, count in Counter(row.name for row in results.rows).items():
        if count > 1:
            raise UserError(f"point {name[:80]!r} in {path}", f"is there {count} times", "run the sweep again")
    return Sweep(folder, results, letter)


def _printable(value: Any) -> Any:
    """Return ``value`` without what a text may do to a terminal or an SVG: control characters, line ends, changes of direction."""
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_printable(inner) for inner in value]
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(sign if sign.isprintable() else " " if sign.isspace() else "\ufffd" for sign in value)


def _numbers(value: Any) -> Iterator[int | float]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)
    elif isinstance(value, int | float):
        yield value
